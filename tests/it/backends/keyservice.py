"""A client and a server of the key service, written from proto/keyservice.proto alone.

    keyservice.py PROTO_DIR client TARGET    takes requests from standard input, one a line, answers on standard output
    keyservice.py PROTO_DIR server TARGET    serves; tells each request on standard output

A request is JSON: {"verb": "Encrypt" or "Decrypt", "key": {"age_key": {…}} or null, "data": hexadecimal}. What the server
calls wrapping is no cipher: each byte is changed alike, so that a test can undo it.
"""

import json
import os
import sys
import tempfile
from concurrent import futures

import grpc
from google.protobuf import json_format
from grpc_tools import protoc

proto_dir, role, target = sys.argv[1:]
with tempfile.TemporaryDirectory() as generated:
    arguments = [f"-I{proto_dir}", f"--python_out={generated}", f"--grpc_python_out={generated}", "keyservice.proto"]
    assert protoc.main(["protoc", *arguments]) == 0
    sys.path.insert(0, generated)
    import keyservice_pb2 as messages
    import keyservice_pb2_grpc as stubs


def say(text):
    print(text, flush=True)


def client():
    # On a Unix socket this library would call the host "%2Fpath", which is no host name. Go's, and so SOPS, says localhost.
    channel = grpc.insecure_channel(target, options=[("grpc.default_authority", "localhost")])
    stub = stubs.KeyServiceStub(channel)
    for line in sys.stdin:
        request = json.loads(line)
        key = messages.Key()
        if request["key"] is not None:
            json_format.ParseDict(request["key"], key)
        given = key if request["key"] is not None else None
        data = bytes.fromhex(request["data"])
        try:
            if request["verb"] == "Encrypt":
                answer = stub.Encrypt(messages.EncryptRequest(key=given, plaintext=data), timeout=30).ciphertext
            else:
                answer = stub.Decrypt(messages.DecryptRequest(key=given, ciphertext=data), timeout=30).plaintext
            say(json.dumps({"status": "OK", "data": answer.hex()}))
        except grpc.RpcError as error:
            say(json.dumps({"status": error.code().name, "details": error.details()}))


def changed(data):
    return bytes(byte ^ 0x5A for byte in data)


class Server(stubs.KeyServiceServicer):
    def tell(self, verb, request, context):
        kind = request.key.WhichOneof("key_type")
        fields = json_format.MessageToDict(request.key, preserving_proto_field_name=True)
        say(f"{verb} {json.dumps(fields, sort_keys=True)}")
        if "denied" in json.dumps(fields) or (verb == "Decrypt" and "wrap-only" in json.dumps(fields)):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "not\nfor you")
        if "nobody" in json.dumps(fields):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such key")
        return kind

    def Encrypt(self, request, context):
        kind = self.tell("Encrypt", request, context)
        return messages.EncryptResponse(ciphertext=f"{kind}:{changed(request.plaintext).hex()}".encode())

    def Decrypt(self, request, context):
        kind = self.tell("Decrypt", request, context)
        name, data = request.ciphertext.decode().split(":")
        if name != kind:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "made for another kind of key")
        return messages.DecryptResponse(plaintext=changed(bytes.fromhex(data)))


def server():
    serving = grpc.server(futures.ThreadPoolExecutor(8))
    stubs.add_KeyServiceServicer_to_server(Server(), serving)
    port = serving.add_insecure_port(target)
    serving.start()
    say(f"listening on {port}")
    # Ends with whoever started it. A line that comes back follows on all that was told before it came.
    for line in sys.stdin:
        say(line.strip())
    os._exit(0)


{"client": client, "server": server}[role]()
