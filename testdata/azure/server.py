"""Entra ID, Key Vault and the token service of App Service, as far as keys are concerned, for tests.

Usage: server.py FOLDER

Follows the public REST APIs. Keys are real RSA keys, made anew by every run; ciphertext is RSA-OAEP-256. Writes
FOLDER/ca.pem (the authority of its certificate) and FOLDER/requests (one JSON line per request), prints the two ports it
listens on, HTTPS and plain HTTP, and ends when its standard input does. The plain port is an HTTP proxy, too: whatever
host is asked for, the HTTPS port answers.

What happens is decided by names, all of them below: of the tenant, client and secret, and of the key.
"""

import base64
import datetime
import ipaddress
import json
import os
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "app-1"
# Its tokens are good for one request, and say themselves that they are about to expire.
HASTY_CLIENT = "app-hasty"
SECRET = "client-secret-canary"
ASSERTION = "federated-token-canary"
IDENTITY_HEADER = "identity-header-canary"
CLI_TOKEN = "token-cli-canary"
SCOPES = ["https://vault.azure.net/.default", "https://managedhsm.azure.net/.default"]
OLD, NEW = "0" * 31 + "1", "0" * 31 + "2"
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)

folder = sys.argv[1]
lock = threading.Lock()
keys = {version: rsa.generate_private_key(65537, 2048) for version in (OLD, NEW)}
tokens = {CLI_TOKEN: None}  # how many requests each is still good for; None if for all
asked = {}  # how often each key was used


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    assert "=" not in text, "Key Vault takes base64url without padding"
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def certificate():
    """Makes an authority and a certificate of it; gives the path of the latter with its key."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def signed(name, key, issuer, issuer_key, extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = signed("test authority", ca_key, "test authority", ca_key, [x509.BasicConstraints(True, 0)])
    names = ["localhost", "*.vault.azure.net", "*.managedhsm.azure.net", "login.microsoftonline.com", "evil.example"]
    alternatives = [x509.DNSName(name) for name in names] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf = signed(
        "test server",
        key,
        "test authority",
        ca_key,
        [x509.SubjectAlternativeName(alternatives), x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])],
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = os.path.join(folder, "server.pem")
    with open(path, "wb") as out:
        out.write(private + leaf.public_bytes(pem))
    with open(os.path.join(folder, "ca.pem"), "wb") as out:
        out.write(ca.public_bytes(pem))
    return path


def new_token(good_for):
    with lock:
        token = f"token-{len(tokens)}-canary"
        tokens[token] = good_for
    return token


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self, body=b""):
        entry = {
            "method": self.command,
            "host": self.headers.get("host", ""),
            "path": self.path,
            "authorization": self.headers.get("authorization", ""),
            "body": body.decode(),
        }
        with lock, open(os.path.join(folder, "requests"), "a") as out:
            out.write(json.dumps(entry) + "\n")

    def answer(self, status, body, **headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, code, message, inner=None, **headers):
        error = {"code": code, "message": message}
        if inner:
            error["innererror"] = {"code": inner}
        self.answer(status, {"error": error}, **headers)

    def do_GET(self):
        self.note()
        url = urlsplit(self.path)
        if url.path == "/msi/token":
            return self.app_service(parse_qs(url.query))
        self.vault(url, None)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.note(body)
        url = urlsplit(self.path)
        if url.path.endswith("/oauth2/v2.0/token"):
            return self.entra(url.path.split("/")[1], parse_qs(body.decode()))
        self.vault(url, body)

    def do_CONNECT(self):
        self.note()
        upstream = socket.create_connection(("127.0.0.1", tls.server_port))
        self.send_response(200)
        self.end_headers()

        def pump(source, target):
            try:
                while data := source.recv(65536):
                    target.sendall(data)
            except OSError:
                pass
            try:
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        back = threading.Thread(target=pump, args=(upstream, self.connection), daemon=True)
        back.start()
        pump(self.connection, upstream)
        back.join()
        self.close_connection = True

    def app_service(self, query):
        good = (
            self.headers.get("x-identity-header") == IDENTITY_HEADER
            and query.get("api-version") == ["2019-08-01"]
            and query.get("resource") == ["https://vault.azure.net"]
        )
        if not good:
            return self.answer(400, {"statusCode": 400, "message": "bad request"})
        expires = str(int(time.time()) + 3600)
        token = {"access_token": new_token(None), "expires_on": expires}
        self.answer(200, token | {"resource": "https://vault.azure.net", "token_type": "Bearer"})

    def entra(self, tenant, form):
        def refuse(status, kind, number, message):
            noise = " Trace ID: 0a Correlation ID: 0b Timestamp: 2026-01-01 00:00:00Z"
            description = f"AADSTS{number}: {message}{noise}"
            self.answer(status, {"error": kind, "error_description": description, "error_codes": [number]})

        assert self.headers["content-type"] == "application/x-www-form-urlencoded"
        assert form["grant_type"] == ["client_credentials"], form
        if tenant != TENANT:
            return refuse(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
        if form["scope"][0] not in SCOPES:
            return refuse(400, "invalid_scope", 70011, "The provided value for 'scope' is not valid.")
        if "client_assertion" in form:
            kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            good = form["client_assertion"] == [ASSERTION] and form["client_assertion_type"] == [kind]
        else:
            good = form.get("client_secret") == [SECRET]
        client = form["client_id"][0]
        if client not in (CLIENT, HASTY_CLIENT) or not good:
            return refuse(401, "invalid_client", 7000215, f"Invalid client secret provided for app '{client}'.")
        hasty = client == HASTY_CLIENT
        token = {"token_type": "Bearer", "expires_in": 1 if hasty else 3599}
        self.answer(200, token | {"access_token": new_token(1 if hasty else None)})

    def vault(self, url, body):
        parts = url.path.strip("/").split("/")
        name = parts[1] if len(parts) > 1 else ""
        if not self.authorized(name):
            return None
        if "api-version" not in parse_qs(url.query):
            return self.refuse(400, "BadParameter", "AKV10000: api-version must be specified")
        if parts[0] != "keys" or name == "missing":
            message = f"A key with (name/id) {name} was not found in this key vault."
            return self.refuse(404, "KeyNotFound", message)
        if name == "forbidden":
            message = "Caller is not authorized to perform action on resource.\r\nCaller: appid=app-1\r\nAction: 'Microsoft.KeyVault/vaults/keys/decrypt/action'\r\n"
            return self.refuse(403, "Forbidden", message, "ForbiddenByRbac")
        if name == "elsewhere":
            return self.answer(307, {}, Location=f"https://localhost:{tls.server_port}/stolen")
        if name == "gateway":
            return self.answer(502, "<html>")
        if name == "odd":
            return self.answer(200, {"kid": "x"})
        if self.command == "GET":
            return self.bundle(parts)
        with lock:
            asked[name] = asked.get(name, 0) + 1
        if name == "swamped" or (name == "busy" and asked[name] == 1):
            return self.refuse(429, "Throttled", "Request was not processed because too many requests were received.", Retry_After="0")
        if name == "disabled":
            return self.refuse(403, "Forbidden", f"Operation {parts[3]} is not allowed on a disabled key.", "KeyDisabled")
        self.operate(parts, json.loads(body))

    def authorized(self, name):
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        with lock:
            left = tokens.get(token, 0)
            if left:
                tokens[token] = left - 1
        if left is None or left > 0:
            return True
        hsm = self.headers["host"].endswith(".managedhsm.azure.net")
        resource = "https://managedhsm.azure.net" if hsm else "https://vault.azure.net"
        resource = "https://management.azure.com" if name == "lure" else resource
        challenge = f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="{resource}"'
        message = "AKV10000: Request is missing a Bearer or PoP token." if not token else "[TokenExpired] Error validating token: 'S2S12086'"
        self.refuse(401, "Unauthorized", message, WWW_Authenticate=challenge)
        return False

    def id(self, name, version):
        return f"https://{self.headers['host']}/keys/{name}/{version}"

    def bundle(self, parts):
        public = keys[NEW].public_key().public_numbers()
        jwk = {
            "kid": self.id(parts[1], NEW),
            "kty": "RSA",
            "key_ops": ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"],
            "n": b64(public.n.to_bytes(256, "big")),
            "e": b64(public.e.to_bytes(3, "big")),
        }
        self.answer(200, {"key": jwk, "attributes": {"enabled": True, "created": 1, "updated": 1}})

    def operate(self, parts, body):
        _, name, version, verb = parts
        key = keys.get(version)
        if key is None:
            return self.refuse(404, "KeyNotFound", f"A key with (name/id) {name}/{version} was not found in this key vault.")
        if body.get("alg") != "RSA-OAEP-256" or set(body) != {"alg", "value"}:
            return self.refuse(400, "BadParameter", "Property has invalid value")
        try:
            value = unb64(body["value"])
            result = key.public_key().encrypt(value, OAEP) if verb == "encrypt" else key.decrypt(value, OAEP)
        except ValueError:
            return self.refuse(400, "BadParameter", "The parameter is incorrect.\r\n")
        self.answer(200, {"kid": self.id(name, version), "value": b64(result)})


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Clients that hang up are nothing to talk about; a failed assertion is seen by the client."""


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate())
tls, plain = Server(("127.0.0.1", 0), Handler), Server(("127.0.0.1", 0), Handler)
tls.socket = context.wrap_socket(tls.socket, server_side=True, do_handshake_on_connect=False)
for server in (tls, plain):
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(tls.server_port, plain.server_port, flush=True)
sys.stdin.read()
