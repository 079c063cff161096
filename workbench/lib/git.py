# SPDX-License-Identifier: GPL-2.0
"""git, the only place that calls it: commands whose result no user configuration can change."""

import contextlib
import itertools
import os
import subprocess
import tempfile
from pathlib import Path

from lib.errors import CommandError

# The user's and the machine's configuration are not read at all (see environment()); these settings
# guard against what the work tree's own configuration may hold.
FIXED = [
    "core.autocrlf=false", "core.safecrlf=false", "core.quotePath=false", "core.hooksPath=/dev/null",
    "gc.auto=0", "commit.gpgSign=false", "apply.whitespace=nowarn", "apply.ignoreWhitespace=no",
    "diff.suppressBlankEmpty=false", "diff.noprefix=false", "diff.mnemonicPrefix=false",
    "i18n.commitEncoding=UTF-8", "i18n.logOutputEncoding=UTF-8", "advice.detachedHead=false",
    "core.attributesFile=/dev/null", "core.excludesFile=/dev/null", "fastimport.unpackLimit=1000000",
    "color.ui=false", "color.diff=false", "color.grep=false", "color.status=false", "color.branch=false",
    "grep.lineNumber=false", "grep.column=false", "grep.fullName=false", "grep.patternType=default",
    "log.showSignature=false", "log.showRoot=true", "log.mailmap=false", "log.follow=false", "log.decorate=false",
    "format.forceInBodyFrom=false", "format.mboxrd=false", "format.noprefix=false", "format.signatureFile=",
    "status.relativePaths=false", "submodule.recurse=false", "core.commentChar=#",
]

# Our own commands need no identity of the user's: what they write down with one, such as the reflog, is no patch.
NOBODY = {f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER")
          for what, text in (("NAME", "workbench"), ("EMAIL", "workbench@localhost"))}

# What points git at another repository or changes its settings. A hook or an alias from which we are run sets them.
ELSEWHERE = ("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX",
             "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_GRAFT_FILE",
             "GIT_SHALLOW_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS",
             "GIT_CONFIG_COUNT", "GIT_INTERNAL_SUPER_PREFIX", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS",
             "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS")

# Twelve digits name a blob uniquely in any kernel repository, and 'git am --3way' can use them.
DIFF_OPTIONS = [
    "-p", "-r", "--binary", "--abbrev=12", "--no-color", "--no-ext-diff", "--no-textconv", "--unified=3",
    "--inter-hunk-context=0", "--diff-algorithm=myers", "--indent-heuristic", "--find-renames=50%", "-l0",
    "-O/dev/null", "--no-relative", "--src-prefix=a/", "--dst-prefix=b/",
]


# Files that are not tracked and that no build leaves: of a kernel's .gitignore what names products of a build counts.
# Debian's has /* at its end, which hides everything.
UNTRACKED = ["ls-files", "-z", "--others", "--exclude-per-directory=.gitignore", "--exclude=!/*"]


class GitError(CommandError):
    """A git command that failed."""


def clean_environment():
    """The environment without variables that point git at another repository or change its output."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def user_environment():
    """The environment of git commands that the user goes on with: all but what points at another repository."""
    return {name: value for name, value in os.environ.items() if name not in ELSEWHERE}


def trusted(work_tree):
    """Variables that let git work in a tree of somebody else, as in a container; newer ones ask for the .git as well."""
    tree = os.path.realpath(work_tree)
    return {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": tree,
            "GIT_CONFIG_KEY_1": "safe.directory", "GIT_CONFIG_VALUE_1": f"{tree}/.git"}


def forget_elsewhere():
    """Take these variables out of our own environment, and so out of that of everything that we run."""
    for name in ELSEWHERE:
        os.environ.pop(name, None)


def environment(work_tree):
    """The environment of our own git commands: neither the user's nor the machine's configuration counts."""
    return {**clean_environment(), **NOBODY, **trusted(work_tree), "LC_ALL": "C", "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1"}


def listed(top, *unwanted):
    """The files of a repository of ours, without what its .gitignore files name; of a release without .git, all files.

    What is named, at the top, and build/ are left out.
    """
    top, away, found = Path(top), ("build", *unwanted), set()
    if (top / ".git").exists():
        names = Git(top).out("ls-files", "-z", "--cached", "--others", "--exclude-per-directory=.gitignore")
        found = {os.fsdecode(name) for name in names.split(b"\0") if name}
    else:
        for where, folders, names in os.walk(top):
            folders[:] = [name for name in folders if name not in ("__pycache__", *(away if Path(where) == top else ()))]
            found.update(os.path.relpath(os.path.join(where, name), top) for name in names)
    return sorted(name for name in found if os.path.lexists(top / name) and name.split("/")[0] not in away)


def shortened(text, most=3):
    """What git said, with the first of many lines that differ in their last word: on a full disk it names each file."""
    kept = []
    for _, group in itertools.groupby(text.split("\n"), key=lambda line: line.rpartition(" ")[0] or line):
        lines = list(group)
        left = len(lines) - most
        kept += lines if left < 2 else [*lines[:most], f"({left} more lines like this)"]
    return "\n".join(kept)


def mail_of(git, commit):
    """A commit as a mail, in a form that no setting changes."""
    options = [option for option in DIFF_OPTIONS if option not in ("-p", "-r")]
    return git.text("format-patch", "--stdout", "-1", "-p", "--stat=75", "--summary", "--no-cover-letter",
                    "--no-thread", "--no-numbered", "--subject-prefix=PATCH", "--no-signature", "--no-signoff",
                    "--no-attach", "--no-from", "--no-to", "--no-cc", "--no-add-header", "--no-notes",
                    "--encode-email-headers", "--no-base", *options, commit) + "\n"


class Git:
    """A git work tree."""

    def __init__(self, work_tree):
        self.work_tree = str(work_tree)

    def run(self, *words, stdin=None, env=None, check=True):
        """Run a git command; its outputs are bytes."""
        command = ["git"]
        for setting in FIXED:
            command += ["-c", setting]
        done = subprocess.run(command + [str(word) for word in words], cwd=self.work_tree, input=stdin or b"",
                              env={**environment(self.work_tree), **(env or {})}, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
        if check and done.returncode:
            text = (done.stderr or done.stdout).decode(errors="replace").strip().replace("\n\t", " ")
            raise GitError(f"git {words[0]}: {shortened(text)}")
        return done

    def as_user(self, *words, stdin=None, env=None):
        """Run a command with the user's own configuration and identity, for what the user goes on with."""
        return subprocess.run(["git", *words], cwd=self.work_tree, input=stdin or b"", capture_output=True, check=False,
                              env={**user_environment(), **trusted(self.work_tree), "LC_ALL": "C.UTF-8", **(env or {})})

    def out(self, *words, stdin=None, env=None):
        """Standard output as bytes."""
        return self.run(*words, stdin=stdin, env=env).stdout

    def text(self, *words, stdin=None, env=None):
        """Standard output as text without the final newline."""
        return self.out(*words, stdin=stdin, env=env).decode(errors="surrogateescape").rstrip("\n")

    def commit(self, name):
        """The commit that a name stands for, or None."""
        done = self.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", check=False)
        return done.stdout.decode().strip() or None

    def tree(self, commit):
        """The tree id of a commit."""
        return self.text("rev-parse", "--verify", f"{commit}^{{tree}}")

    def path(self, name):
        """A path inside the git directory."""
        return os.path.join(self.work_tree, self.text("rev-parse", "--git-path", name))

    def blob(self, content):
        """Store a blob and return its id."""
        return self.text("hash-object", "-w", "--stdin", stdin=content)

    def blobs(self, top, names):
        """Store files of a folder; returns name -> id."""
        lines = "".join(f"{Path(top).resolve() / name}\n" for name in names)
        ids = self.text("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=os.fsencode(lines)).split("\n")
        return dict(zip(names, ids))

    def content(self, blob):
        """The content of a blob."""
        return self.out("cat-file", "blob", blob)

    def listing(self, commit):
        """All files of a commit: path -> (mode, blob)."""
        files = {}
        for record in self.out("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
            if record:
                meta, path = record.split(b"\t", 1)
                mode, _, blob = meta.decode().split(" ")
                files[path.decode(errors="surrogateescape")] = (mode, blob)
        return files

    @contextlib.contextmanager
    def index(self, files):
        """Variables for commands that work on an index of its own, with just these files: path -> (mode, blob)."""
        with tempfile.TemporaryDirectory(prefix="series-") as folder:
            chosen = {"GIT_INDEX_FILE": os.path.join(folder, "index")}
            lines = [f"{mode} {blob}\t{path}\0" for path, (mode, blob) in sorted(files.items())]
            words = ["update-index", "-z", "--index-info"] if lines else ["read-tree", "--empty"]
            self.out(*words, env=chosen, stdin="".join(lines).encode(errors="surrogateescape"))
            yield chosen

    def small_tree(self, files):
        """A tree that holds just these files."""
        with self.index(files) as chosen:
            return self.text("write-tree", env=chosen)

    def diff(self, before, after):
        """The diff between two sets of files, in our fixed form."""
        if before == after:
            return b""
        return self.out("diff-tree", *DIFF_OPTIONS, self.small_tree(before), self.small_tree(after))

    def merge(self, ours, start, theirs, *options):
        """A three-way merge of contents: (the result, its conflicts); (None, 0) for what cannot be merged."""
        with tempfile.TemporaryDirectory(prefix="series-") as folder:
            sides = [Path(folder) / name for name in ("ours", "start", "theirs")]
            for side, content in zip(sides, (ours, start, theirs)):
                side.write_bytes(content)
            done = self.run("merge-file", "-p", "-q", *options, *sides, check=False)
        return (done.stdout, done.returncode) if done.returncode < 128 else (None, 0)

    def busy(self):
        """What git is in the middle of ('am', 'rebase', 'cherry-pick', 'merge'), or None."""
        if os.path.isdir(self.path("rebase-apply")):
            return "am" if os.path.exists(self.path("rebase-apply/applying")) else "rebase"
        for name, what in (("rebase-merge", "rebase"), ("CHERRY_PICK_HEAD", "cherry-pick"), ("MERGE_HEAD", "merge"),
                           ("REVERT_HEAD", "revert")):
            if os.path.exists(self.path(name)):
                return what
        return None

    def settle(self):
        """After an interrupted checkout: refuse if git outlived the command that started it, else drop index.lock."""
        for task in Path("/proc").glob("[0-9]*"):
            try:
                words = (task / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"git") and os.path.samefile(task / "cwd", self.work_tree):
                    raise CommandError(f"git still runs in {self.work_tree} (process {task.name}): wait for it, or "
                                       "end it")
            except OSError:
                continue    # it ended, or is somebody else's
        Path(self.path("index.lock")).unlink(missing_ok=True)

    def dirty(self):
        """The tracked files with uncommitted changes."""
        records = self.out("status", "--porcelain", "-z", "--untracked-files=no", "--no-renames").split(b"\0")
        return [record[3:].decode(errors="replace") for record in records if record]

    def user_has_identity(self):
        """Can the user commit here? Only for this question the user's own configuration counts."""
        return all(subprocess.run(["git", *words], cwd=self.work_tree, env=user_environment(), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, check=False).returncode == 0
                   for words in (("var", "GIT_COMMITTER_IDENT"), ("config", "user.email")))
