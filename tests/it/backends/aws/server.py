"""Runs the AWS APIs of moto on a free port of 127.0.0.1, and does what tests ask for, with boto3.

Prints the address; then evaluates one Python expression a line from standard input and prints what comes of it. What it
prints is JSON: `{"is": …}` or `{"failed": …}`.
Ends with its input, so that it never outlives the tests. Shares no code with the program under test.
"""

import base64
import hashlib
import io
import json
import os
import sys
import threading

import boto3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

aws = DomainDispatcherApplication(create_backend_app)
requests = []
lock = threading.Lock()
# By user: how many requests are being answered, and the most that ever were at the same time.
busy, most = {}, {}


class Quiet(WSGIRequestHandler):
    def log_request(self, *_):
        pass


def recording(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    user = authorization.partition("Credential=")[2].partition("/")[0]
    action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    with lock:
        requests.append(
            {"body": body.decode(), "authorization": authorization, "user": user, "action": action}
        )
        busy[user] = busy.get(user, 0) + 1
        most[user] = max(most.get(user, 0), busy[user])
    try:
        return aws(environ, start_response)
    finally:
        with lock:
            busy[user] -= 1


server = make_server("127.0.0.1", 0, recording, threaded=True, request_handler=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = "http://127.0.0.1:%d" % server.port


def client(service, region):
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=URL,
        aws_access_key_id="ADMIN",
        aws_secret_access_key="admin",
    )


def create_key(region):
    return client("kms", region).create_key()["KeyMetadata"]["Arn"]


def create_alias(arn, name):
    region = arn.split(":")[3]
    client("kms", region).create_alias(AliasName="alias/" + name, TargetKeyId=arn)
    return arn.split(":key/")[0] + ":alias/" + name


def unwrap(arn, enc, context):
    """The length of a data key that the program wrapped, or why it cannot be unwrapped."""
    blob = base64.b64decode(enc, validate=True)
    kms = client("kms", arn.split(":")[3])
    answer = kms.decrypt(KeyId=arn, CiphertextBlob=blob, EncryptionContext=context)
    return len(answer["Plaintext"])


def recorded(word):
    """The requests of the program whose body holds a word, with who signed them."""
    own = "Credential=ADMIN/"
    return [r for r in requests if word in r["body"] and own not in r["authorization"]]


def calls(user, action):
    """How often a user has asked KMS for something."""
    return len([r for r in requests if (r["user"], r["action"]) == (user, action)])


def token(key, value, place):
    """Seals a text as SOPS does: AES-256-GCM, an IV of 32 bytes, the place as additional data."""
    iv = os.urandom(32)
    sealed = AESGCM(key).encrypt(iv, value.encode(), place.encode())
    text = [base64.b64encode(part).decode() for part in (sealed[:-16], iv, sealed[-16:])]
    return "ENC[AES256_GCM,data:%s,iv:%s,tag:%s,type:str]" % tuple(text)


def sealed_by_hand(arn, context, password):
    """A file as SOPS would write it, for one key of KMS."""
    key = os.urandom(32)
    kms = client("kms", arn.split(":")[3])
    blob = kms.encrypt(KeyId=arn, Plaintext=key, EncryptionContext=context)["CiphertextBlob"]
    changed = "2026-01-02T03:04:05Z"
    mac = hashlib.sha512(password.encode()).hexdigest().upper()
    lines = ["password: " + token(key, password, "password:"), "sops:", "    kms:", "        - arn: " + arn]
    if context:
        lines.append("          context:")
        lines += ["            %s: %s" % pair for pair in sorted(context.items())]
    lines += [
        '          created_at: "2026-01-02T03:04:05Z"',
        "          enc: " + base64.b64encode(blob).decode(),
        '          aws_profile: ""',
        '    lastmodified: "%s"' % changed,
        "    mac: " + token(key, mac, changed),
        "    unencrypted_suffix: _unencrypted",
        "    version: 3.13.2",
        "",
    ]
    return "\n".join(lines)


print(json.dumps({"is": URL}), flush=True)
for line in sys.stdin:
    try:
        answer = {"is": eval(line)}
    except Exception as error:
        answer = {"failed": repr(error)}
    print(json.dumps(answer), flush=True)
