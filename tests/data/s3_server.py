"""A bucket server for tests (moto), and an independent client (boto3) that says what is in it.

One JSON object a line in, one out. It ends with its input, so that nothing outlives the test.
"""

import json
import logging
import os
import sys

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")

import boto3
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)


def make(s3, name, mode=None, days=30, versions=False):
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=mode is not None)
    if mode:
        rule = {"DefaultRetention": {"Mode": mode, "Days": days}}
        s3.put_object_lock_configuration(
            Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
        )
    elif versions:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return {}


def all_versions(s3, bucket):
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        yield from page.get("Versions", [])


def count(s3, bucket):
    """How many versions each key has."""
    found = {}
    for version in all_versions(s3, bucket):
        found[version["Key"]] = found.get(version["Key"], 0) + 1
    return found


def download(s3, bucket, folder):
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            path = os.path.join(folder, item["Key"])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            s3.download_file(bucket, item["Key"], path)
    return {}


def delete(s3, bucket, key):
    """Tries to delete each version for good; says what the server answered."""
    answers = []
    for version in [v for v in all_versions(s3, bucket) if v["Key"] == key]:
        try:
            s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
            answers.append("deleted")
        except ClientError as error:
            answers.append(error.response["Error"]["Code"])
    return answers


def put(s3, bucket, key, text):
    s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
    return {}


class Odd:
    """Stands before the server and answers as some providers do."""

    def __init__(self, app):
        self.app = app
        self.without = []
        self.refused_puts = 0
        self.puts = 0

    def __call__(self, environ, start_response):
        asked = environ.get("QUERY_STRING", "").split("&")
        if any(name == query.split("=")[0] for query in asked for name in self.without):
            return self.refuse(environ, start_response, "501 Not Implemented", "NotImplemented")
        if environ["REQUEST_METHOD"] == "PUT" and self.refused_puts:
            self.puts += 1
            if self.puts % (self.refused_puts + 1):
                return self.refuse(environ, start_response, "503 Slow Down", "SlowDown")
        return self.app(environ, start_response)

    def refuse(self, environ, start_response, status, code):
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = f"<Error><Code>{code}</Code></Error>".encode()
        start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    odd = server._server.app = Odd(server._server.app)

    def be_odd(_, without=(), refused_puts=0):
        """Which queries it does not know, and how many uploads it refuses before it takes one."""
        odd.without, odd.refused_puts = list(without), refused_puts
        return {}

    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3 = boto3.client("s3", endpoint_url=endpoint)
    commands = {"make": make, "count": count, "download": download, "delete": delete, "put": put, "odd": be_odd}
    print(json.dumps({"endpoint": endpoint}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        do = command.pop("do")
        print(json.dumps(commands[do](s3, **command)), flush=True)
    server.stop()


main()
