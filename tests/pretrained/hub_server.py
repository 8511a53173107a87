"""A Hugging Face hub of one process: the endpoints that models are loaded from and pushed to."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

TOKEN = "hf_of_the_owner"


class Repository:
    """Commits, newest last: (sha, {path: content})."""

    def __init__(self, files=(), *, gated=False, private=False, broken=False):
        self.gated, self.private, self.broken = gated, private, broken
        self.commits = []
        self.messages = []
        self.commit(dict(files))

    def commit(self, files, message="first"):
        files = {**(self.commits[-1][1] if self.commits else {}), **files}
        seed = f"{len(self.commits)}{sorted(files)}".encode()
        self.commits.append((hashlib.sha1(seed).hexdigest(), files))
        self.messages.append(message)
        return self.commits[-1][0]

    def at(self, revision):
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.route("GET")

    do_HEAD = do_GET

    def do_POST(self):
        self.route("POST")

    def route(self, method):
        path = unquote(self.path.partition("?")[0])
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, path))
        for wanted, pattern, answer in ROUTES:
            match = re.fullmatch(pattern, path)
            if wanted == method and match:
                return answer(self, body, **match.groupdict())
        return self.fail(404, "EntryNotFound", f"no endpoint {method} {path}")

    @property
    def owner(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def reply(self, status, content, **headers):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def fail(self, status, code, message):
        self.reply(status, {"error": message}, X_Error_Code=code, X_Error_Message=message)

    def commit_of(self, name, revision):
        """The commit asked for, or None after an answer that says why not."""
        repository = self.server.repositories.get(name)
        if repository is None or (repository.private and not self.owner):
            self.fail(401, "RepoNotFound", "Repository not found")
        elif repository.broken:
            self.fail(500, "InternalError", "out of order")
        elif repository.gated and not self.owner:
            self.fail(403, "GatedRepo", "Access to this model is restricted")
        elif repository.at(revision) is None:
            self.fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return repository.at(revision)
        return None

    def info(self, _, *, name, revision="main"):
        found = self.commit_of(name, revision or "main")
        if found is not None:
            sha, files = found
            siblings = [{"rfilename": path} for path in files]
            self.reply(200, {"id": name, "modelId": name, "sha": sha, "siblings": siblings})

    def tree(self, _, *, name, revision):
        found = self.commit_of(name, revision)
        if found is not None:
            entries = [
                {"type": "file", "path": path, "size": len(content), "oid": oid(content)}
                for path, content in found[1].items()
            ]
            self.reply(200, entries)

    def resolve(self, _, *, name, revision, path):
        found = self.commit_of(name, revision)
        if found is None:
            return
        sha, files = found
        if path not in files:
            self.fail(404, "EntryNotFound", f"no {path}")
        else:
            self.reply(200, files[path], ETag=f'"{oid(files[path])}"', X_Repo_Commit=sha)

    def create(self, body):
        wanted = json.loads(body)
        name = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
        if not self.owner:
            self.fail(401, "", "Invalid username or password.")
        elif name in self.server.repositories:
            self.reply(409, {"error": "exists", "url": f"{self.server.address}/{name}"})
        else:
            private = wanted.get("private") or wanted.get("visibility") == "private"
            self.server.repositories[name] = Repository(private=private)
            self.reply(200, {"url": f"{self.server.address}/{name}", "id": name, "name": name})

    def validate(self, _):
        self.reply(200, {"errors": [], "warnings": []})

    def preupload(self, body, *, name, revision):
        if self.commit_of(name, revision) is not None:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self.reply(200, {"files": files})

    def commit(self, body, *, name, revision):
        if self.commit_of(name, revision) is None:
            return
        lines = [json.loads(line) for line in body.splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        files = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"])
            for line in lines
            if line["key"] == "file"
        }
        sha = self.server.repositories[name].commit(files, header["summary"])
        self.reply(
            200, {"commitUrl": f"{self.server.address}/{name}/commit/{sha}", "commitOid": sha}
        )


NAME = r"(?P<name>[^/]+/[^/]+)"
ROUTES = [
    ("GET", rf"/api/models/{NAME}", Handler.info),
    ("GET", rf"/api/models/{NAME}/revision/(?P<revision>.+)", Handler.info),
    ("GET", rf"/api/models/{NAME}/tree/(?P<revision>[^/]+)", Handler.tree),
    ("GET", rf"/{NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", Handler.resolve),
    ("POST", "/api/repos/create", Handler.create),
    ("POST", "/api/validate-yaml", Handler.validate),
    ("POST", rf"/api/models/{NAME}/preupload/(?P<revision>.+)", Handler.preupload),
    ("POST", rf"/api/models/{NAME}/commit/(?P<revision>.+)", Handler.commit),
]


def oid(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def hub_server(repositories):
    """A server of these repositories, by id; ``asked`` is what it was asked for."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.repositories = dict(repositories)
        server.asked = []
        server.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
