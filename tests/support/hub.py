"""A stand-in for the model hub: a local server that speaks as much of its protocol as we need.

``huggingface_hub``, ``transformers`` and ``datasets`` read ``HF_ENDPOINT`` when they are
imported, so a test runs the real code in a process of its own, with the stand-in's environment.
Each stand-in has the same address and the same home folder for its clients, those of
:mod:`support.warm`: one that is opened inside another takes its place until it is closed::

    with HubStandIn(models={"org/name": folder}) as hub:
        done = hub.python("from transformers import AutoModel; ...")

Files are kept in memory. A repository has a history: each commit has a SHA-1 and all files as
they were, and ``main`` is the newest. Only its owner, ``USER``, writes, with ``TOKEN``.
"""

import base64
import hashlib
import io
import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from support import warm
from support.processes import run

USER = "tester"
TOKEN = "hf_dummy"  # noqa: S105 - a token of nothing but this server

# A name has one or two parts (distilbert-base-uncased, stanfordnlp/imdb); the verb behind it
# tells where it ends.
_NAME = r"(?P<name>[^/]+?(?:/[^/]+?)?)"
_API = re.compile(
    rf"/api/(?P<kind>models|datasets)/{_NAME}"
    r"(?:/(?P<verb>revision|tree|paths-info|preupload|commit|refs)(?:/(?P<rev>[^/]+)(?:/(?P<path>.+))?)?)?"
)
_RESOLVE = re.compile(
    rf"/(?P<kind>datasets/)?{_NAME}/(?P<verb>resolve)/(?P<rev>[^/]+)/(?P<path>.+)"
)


@dataclass
class Repository:
    """A model or data set: what it held at each commit, oldest first."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, files):
        """Add a commit that leaves the repository with these files; return its SHA-1."""
        seed = repr((len(self.commits), sorted((k, _sha(v)) for k, v in files.items())))
        sha = _sha(seed.encode())
        self.commits[sha] = dict(files)
        return sha

    def find(self, revision):
        """Return the SHA-1 and files at a revision, or ``None``."""
        if revision == "main":
            revision = next(reversed(self.commits))
        return (revision, self.commits[revision]) if revision in self.commits else None


@dataclass(frozen=True)
class Commit:
    """What a client uploaded in one commit."""

    repo: str
    sha: str
    message: str
    files: dict[str, bytes]


_OPEN = []
"""The stand-ins that are open, of which the last one answers."""


class HubStandIn:
    """The server; a context manager.

    Args:
        models: what there is to download, a folder for each name.
        datasets: rows (dicts) by split for each name; ``"org/name:config"`` names a
            configuration, of which a data set may have several.
        refuse: status to answer with instead, by verb (``create``, ``commit``, ``resolve``, ...).

    Attributes:
        env: the environment for a client, complete.
        commits: the :class:`Commit` s made by clients.
        requests: a line for each request: method, path and status.
        repositories: all :class:`Repository` s by ``models/NAME`` or ``datasets/NAME``.
    """

    def __init__(self, *, models=None, datasets=None, refuse=None):
        self.repositories = {}
        self.commits = []
        self.requests = []
        self.refuse = refuse or {}
        for name, folder in (models or {}).items():
            self._put(f"models/{name}", _read(Path(folder)))
        for name, files in _datasets(datasets or {}).items():
            self._put(f"datasets/{name}", files)
        settings = warm.hub_settings()
        self.url = settings["HF_ENDPOINT"]
        self._link = Path(settings["HF_HOME"])
        self._home = tempfile.TemporaryDirectory(prefix="hub-home-", ignore_cleanup_errors=True)
        local = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        ours = settings | local | {"HF_TOKEN": TOKEN}
        # Nothing of the caller's own hub settings, such as HF_HUB_OFFLINE, reaches the client.
        rest = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
        self.env = rest | ours

    def __enter__(self):
        if _OPEN:
            _OPEN[-1].stop()
        _OPEN.append(self)
        self._start()
        return self

    def __exit__(self, *_):
        self.stop()
        self._home.cleanup()
        _OPEN.remove(self)
        if _OPEN:
            _OPEN[-1]._start()

    def _start(self):
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(self._home.name)
        address = ("127.0.0.1", int(self.url.rpartition(":")[2]))
        self._server = ThreadingHTTPServer(address, type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self):
        """Stop answering; ``env`` then leads to a dead server."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def python(self, code, *arguments, **env):
        """Run Python code in a process whose hub this is; return what came of it."""
        return run([warm.python(), "-c", code, *arguments], env=self.env | env)

    def files(self, name, revision="main"):
        """Return the files of a model."""
        return self.repositories[f"models/{name}"].find(revision)[1]

    def _put(self, key, files):
        self.repositories.setdefault(key, Repository()).commit(files)


class _RefusedError(Exception):
    """An answer with an error status, with the code that the client goes by."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubStandIn

    def do_GET(self):
        self._handle()

    def do_HEAD(self):
        self._handle()

    def do_POST(self):
        self._handle()

    def log_message(self, *_):
        """Keep quiet; ``hub.requests`` is the log."""

    def _handle(self):
        self._body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        self._query = parse_qs(url.query)
        try:
            self._route(url.path)
        except _RefusedError as refused:
            headers = {"X-Error-Message": str(refused)}
            if refused.code:
                headers["X-Error-Code"] = refused.code
            self._json({"error": str(refused)}, refused.status, headers)

    def _route(self, path):
        if path == "/api/repos/create":
            self._create()
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif match := _API.fullmatch(path) or _RESOLVE.fullmatch(path):
            self._in_repository(match)
        else:
            raise _RefusedError(404, None, "Not Found")

    def _in_repository(self, match):
        kind = "datasets" if (match["kind"] or "").startswith("datasets") else "models"
        name, verb = unquote(match["name"]), match["verb"] or "revision"
        self._refuse_if_told(verb)
        repository = self.hub.repositories.get(f"{kind}/{name}")
        if repository is None or (repository.private and not self._authorised()):
            raise _RefusedError(
                404 if self._authorised() else 401, "RepoNotFound", "Repository not found"
            )
        found = repository.find(unquote(match["rev"] or "main"))
        if found is None:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {match['rev']}")
        sha, files = found
        inner = unquote(match["path"] or "")
        match verb:
            case "revision":
                self._json(_info(name, sha, files, repository.private))
            case "tree":
                self._tree(files, inner)
            case "paths-info":
                wanted = parse_qs(self._body.decode())["paths"]
                entries = {entry["path"]: entry for entry in _entries(files)}
                self._json([entries[path] for path in wanted if path in entries])
            case "refs":
                main = {"name": "main", "ref": "refs/heads/main", "targetCommit": sha}
                self._json({"branches": [main], "tags": [], "converts": []})
            case "resolve":
                self._resolve(sha, files, inner)
            case "preupload":
                self._authorise(name)
                self._preupload()
            case "commit":
                self._authorise(name)
                self._commit(repository, name, files)

    # --- reading ---------------------------------------------------------------------------

    def _resolve(self, sha, files, path):
        if path not in files:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        content = files[path]
        headers = {"ETag": f'"{_sha(content)}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        status, whole = 200, len(content)
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted and whole:
            first = int(wanted[1]) if wanted[1] else max(0, whole - int(wanted[2]))
            last = int(wanted[2]) if wanted[1] and wanted[2] else whole - 1
            content = content[first : last + 1]
            headers["Content-Range"] = f"bytes {first}-{min(last, whole - 1)}/{whole}"
            status = 206
        self._send(content, status, "application/octet-stream", headers)

    def _tree(self, files, under):
        entries = _entries(files)
        prefix = f"{under}/" if under else ""
        if under and not any(entry["path"].startswith(prefix) for entry in entries):
            raise _RefusedError(404, "EntryNotFound", f"{under} does not exist")
        recursive = self._query.get("recursive", ["false"])[0].lower() in ("true", "1")
        self._json(
            [
                entry
                for entry in entries
                if entry["path"].startswith(prefix)
                and (recursive or "/" not in entry["path"][len(prefix) :])
            ]
        )

    # --- writing ---------------------------------------------------------------------------

    def _create(self):
        self._refuse_if_told("create")
        wanted = json.loads(self._body)
        name = f"{wanted.get('organization') or USER}/{wanted['name']}"
        self._authorise(name)
        key = f"{wanted.get('type') or 'model'}s/{name}"
        url = {"url": f"{self.hub.url}/{name}", "name": name}
        if key in self.hub.repositories:
            self._json({"error": "You already created this model repo", **url}, 409)
            return None
        private = wanted.get("private", wanted.get("visibility") == "private")
        repository = self.hub.repositories[key] = Repository(private=private)
        repository.commit({".gitattributes": b"*.safetensors filter=lfs -text\n"})
        return self._json(url)

    def _preupload(self):
        """Have every file sent within the commit: no LFS, no Xet."""
        files = json.loads(self._body)["files"]
        self._json(
            {
                "files": [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for file in files
                ]
            }
        )

    def _commit(self, repository, name, files):
        header, *operations = (json.loads(line) for line in self._body.splitlines())
        uploaded = {}
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                uploaded[value["path"]] = base64.b64decode(value["content"])
            else:
                raise _RefusedError(400, None, f"the stand-in does not know {operation['key']}")
        sha = repository.commit(files | uploaded)
        self.hub.commits.append(
            Commit(repo=name, sha=sha, message=header["value"]["summary"], files=uploaded)
        )
        self._json({"commitUrl": f"{self.hub.url}/{name}/commit/{sha}", "commitOid": sha})

    # --- the rest --------------------------------------------------------------------------

    def _refuse_if_told(self, verb):
        if status := self.hub.refuse.get(verb):
            raise _RefusedError(status, None, "refused")

    def _authorised(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _authorise(self, name):
        if not self._authorised():
            raise _RefusedError(401, None, "Invalid username or password.")
        if name.split("/")[0] != USER:
            raise _RefusedError(403, None, f"You don't have the rights to write to {name}")

    def _json(self, value, status=200, headers=None):
        self._send(json.dumps(value).encode(), status, "application/json", headers or {})

    def _send(self, content, status, content_type, headers):
        self.hub.requests.append(f"{self.command} {self.path} {status}")
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _sha(content):
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _read(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _info(name, sha, files, private):
    return {
        "id": name,
        "modelId": name,
        "sha": sha,
        "private": private,
        "disabled": False,
        "gated": False,
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": [{"rfilename": path} for path in files],
    }


def _entries(files):
    """Return files and folders as the hub lists them."""
    folders = {parent.as_posix() for path in files for parent in Path(path).parents} - {"."}
    listed = [{"type": "directory", "path": path, "oid": _sha(path.encode())} for path in folders]
    listed += [
        {"type": "file", "path": path, "oid": _sha(content), "size": len(content)}
        for path, content in files.items()
    ]
    return sorted(listed, key=lambda entry: entry["path"])


def _datasets(given):
    """Return the files of each data set: a parquet file a split, and the card that lists them."""
    found = {}
    for key, splits in given.items():
        name, _, config = key.partition(":")
        config = config or "default"
        files = found.setdefault(name, {"README.md": b"---\nconfigs:\n---\n"})
        entry = f"- config_name: {config}\n  data_files:\n"
        for split, rows in splits.items():
            path = f"{config}/{split}-00000-of-00001.parquet"
            buffer = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(list(rows)), buffer)
            files[path] = buffer.getvalue()
            entry += f"  - split: {split}\n    path: {config}/{split}-*\n"
        files["README.md"] = files["README.md"][:-4] + entry.encode() + b"---\n"
    return found
