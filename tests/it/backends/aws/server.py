"""Runs the AWS APIs of moto on a free port of 127.0.0.1, and does what tests ask for, with boto3.

Prints the address; then evaluates one Python expression a line from standard input and prints what comes of it as JSON.
Ends with its input, so that it never outlives the tests. Shares no code with the program under test.
"""

import base64
import hashlib
import json
import os
import sys
import urllib.request

import boto3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
URL = "http://%s:%d" % server.get_host_and_port()


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


def disable(arn):
    client("kms", arn.split(":")[3]).disable_key(KeyId=arn)


def unwrap(arn, enc, context):
    """The length of a data key that the program wrapped, or why it cannot be unwrapped."""
    blob = base64.b64decode(enc, validate=True)
    kms = client("kms", arn.split(":")[3])
    answer = kms.decrypt(KeyId=arn, CiphertextBlob=blob, EncryptionContext=context)
    return len(answer["Plaintext"])


def recorded(word):
    """The requests that hold a word: their bodies, and who signed them."""
    with urllib.request.urlopen(URL + "/moto-api/recorder/download-recording") as answer:
        lines = answer.read().decode().splitlines()
    requests = [json.loads(line) for line in lines if line]
    found = []
    for request in requests:
        body = request.get("body") or ""
        if request.get("body_encoded"):
            body = base64.b64decode(body).decode("utf-8", "replace")
        headers = {name.lower(): value for name, value in dict(request["headers"]).items()}
        if word in body:
            found.append(
                {
                    "body": body,
                    "target": headers.get("x-amz-target", ""),
                    "authorization": headers.get("authorization", ""),
                }
            )
    return found


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


urllib.request.urlopen(URL + "/moto-api/recorder/start-recording", data=b"").close()
print(json.dumps(URL), flush=True)
for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
