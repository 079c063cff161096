# SPDX-License-Identifier: GPL-2.0
"""The patch files of the series: reading, checking and writing them, and the names that are allowed in them."""

import email.header
import email.utils
import re
from dataclasses import dataclass, field
from typing import NamedTuple

FROM_LINE = "From " + "0" * 40 + " Mon Sep 17 00:00:00 2001"
SUBJECT_LIMIT = 75
SLUG_LIMIT = 60
# What lies at the repository's root and is not part of the kernel.
OURS = {"README.md", "Makefile", "MAINTAINERS", "COPYING", "patches", "workbench", "build"}
NAME = re.compile(r"^[A-Za-z0-9_.+,@=-]+$")
REAL_MAIL = re.compile(r"^[^@\s]+@(?!localhost\b)[^@\s.]+(\.[^@\s.]+)+$")
CLAIM = re.compile(r"^(Adds|Entry|Topic|Part):[ \t]+(.*?)[ \t]*$")
UNFINISHED = re.compile(r"^(fixup|squash|amend)!")


class DiffFile(NamedTuple):
    """One file of a diff. Kind is edit, new, delete, rename or copy."""

    old: str
    new: str
    kind: str


@dataclass
class Patch:
    """One commit of the series. The problems are what is wrong with its form."""

    path: str = ""
    topic: str = ""
    name: str = ""
    mail: str = ""
    date: str = ""
    subject: str = ""
    body: str = ""
    notes: str = ""
    adds: list = field(default_factory=list)
    entries: list = field(default_factory=list)
    diff: bytes = b""
    files: list = field(default_factory=list)
    header: bytes = b""
    problems: list = field(default_factory=list)

    def message(self):
        """The commit message: the notes follow a line '---', where git am cuts a message."""
        text = f"{self.subject}\n\n{self.body}\n"
        if self.notes:
            text += f"---\n{self.notes}\n"
        return text

    def touched(self):
        """Every path that the diff names."""
        return sorted({path for item in self.files for path in (item.old, item.new) if path})

    def stamp(self):
        """The date as git stores it: seconds and time zone."""
        return git_date(self.date)


def slug(subject):
    """The file name that a subject gives."""
    words = re.sub(r"[^a-z0-9_-]+", "-", subject.lower()).strip("-")
    return words[:SLUG_LIMIT].strip("-") or "patch"


def git_date(text):
    """Turn a mail's Date into '<seconds> <zone>', or None if it is none."""
    parsed = email.utils.parsedate_tz(text)
    zone = re.search(r"([+-]\d{4})$", text.strip())
    if not parsed or not zone:
        return None
    return f"{email.utils.mktime_tz(parsed)} {zone.group(1)}"


def breaks_message(line):
    """Would git am end the commit message at this line?"""
    if line.startswith(("diff -", "Index: ")):
        return True
    rest = line[3:]
    return line.startswith("---") and (not rest.strip() or (rest[0] == " " and not rest[1:2].isspace()))


def path_problem(path):
    """Why a path cannot be an overlay file, or None."""
    parts = path.split("/")
    if path.startswith("/"):
        return "absolute path"
    if any(part in ("", ".", "..") for part in parts):
        return "path leaves or repeats a directory"
    if any(part.lower() == ".git" for part in parts):
        return "path inside .git"
    if parts[0] in OURS or parts[0].startswith("."):
        return "path belongs to the repository itself, not to the kernel"
    if not all(NAME.match(part) for part in parts):
        return "path holds an unusual character"
    return None


def decode_header(text):
    """A header's text with its RFC 2047 words decoded."""
    parts = []
    for part, charset in email.header.decode_header(text):
        if isinstance(part, bytes):
            part = part.decode(charset or "utf-8", errors="surrogateescape")
        parts.append(part)
    return "".join(parts)


def parse_address(text):
    """Name and mail address of a From header."""
    match = re.match(r"^(.*?)\s*<([^<>\s]+@?[^<>\s]*)>$", text.strip())
    if not match:
        return None
    name = match.group(1)
    if name.startswith('"') and name.endswith('"') and len(name) > 1:
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return decode_header(name).strip(), match.group(2)


def parse_diff(diff, problem):
    """The files that a diff names. A line of a hunk never starts with 'diff', so headers are sure to be found."""
    files = []
    info = None
    for raw in diff.split(b"\n"):
        line = raw.decode(errors="surrogateescape")
        if line.startswith("diff --git "):
            if info:
                files.append(diff_file(info, problem))
            info = {"git": line[len("diff --git "):]}
        elif info is not None and not info.get("hunks"):
            read_extended_header(line, info)
    if info:
        files.append(diff_file(info, problem))
    return [item for item in files if item]


def read_extended_header(line, info):
    """Take one line between 'diff --git' and the first hunk."""
    if line.startswith(("@@ ", "GIT binary patch", "Binary files ")):
        info["hunks"] = True
        info["binary-only"] = line.startswith("Binary files ")
        return
    for key in ("rename from ", "rename to ", "copy from ", "copy to ", "new file mode ", "deleted file mode "):
        if line.startswith(key):
            info[key.strip()] = line[len(key):]


def diff_file(info, problem):
    """A DiffFile from the header lines of one file."""
    words = info["git"]
    if info.get("binary-only"):
        problem(f"{words}: binary file without its content")
    if '"' in words:
        problem(f"{words}: path with an unusual character in the diff")
        return None
    if "rename from" in info:
        return DiffFile(info["rename from"], info["rename to"], "rename")
    if "copy from" in info:
        return DiffFile(info["copy from"], info["copy to"], "copy")
    half = (len(words) - 1) // 2
    old, new = words[:half], words[half + 1:]
    if not old.startswith("a/") or not new.startswith("b/") or old[2:] != new[2:]:
        problem(f"diff --git {words}: cannot read the path")
        return None
    path = old[2:]
    if any(part in ("", ".", "..") for part in path.split("/")):
        problem(f"{path}: path leaves the tree")
        return None
    if "new file mode" in info:
        return DiffFile("", path, "new")
    if "deleted file mode" in info:
        return DiffFile(path, "", "delete")
    return DiffFile(path, path, "edit")


def split_signature(lines):
    """Drop the signature ('-- ' and at most one line) and say whether there was one."""
    while lines and lines[-1] == b"":
        lines.pop()
    for back in (1, 2):
        if len(lines) >= back and lines[-back] in (b"-- ", b"--"):
            del lines[-back:]
            return True
    return False


def parse_headers(lines, patch, problem):
    """Read the mail's headers; returns the number of the first line of the body."""
    headers = {}
    last = None
    number = 1
    for number, raw in enumerate(lines[1:], 1):
        line = raw.decode("utf-8", errors="surrogateescape")
        if not line:
            break
        if line[0] in " \t" and last:
            headers[last] += " " + line.strip()
        elif ":" in line:
            last, value = line.split(":", 1)
            last = last.lower()
            headers[last] = value.strip()
        else:
            problem(f"not a mail header: {line[:60]}")
    if headers.get("content-transfer-encoding", "8bit").lower() not in ("8bit", "7bit"):
        problem("Content-Transfer-Encoding must be 8bit")
    author = parse_address(headers.get("from", ""))
    if author and author[0]:
        patch.name, patch.mail = author
        if not REAL_MAIL.search(patch.mail):
            problem(f"From: {patch.name} <{patch.mail}> is nobody's address: set user.name and user.email (git config), "
                    "then git commit --amend --reset-author")
    else:
        problem("no From: name <address>")
    patch.date = headers.get("date", "")
    if not git_date(patch.date):
        problem("no valid Date:")
    subject = decode_header(headers.get("subject", ""))
    if subject.startswith("[PATCH] "):
        patch.subject = subject[len("[PATCH] "):].strip()
    if not patch.subject:
        problem("no Subject: [PATCH] ...")
        patch.subject = subject
    return number + 1


def split_notes(text):
    """Sort the lines of the notes: free text and claims, as {'Adds': [...], 'Entry': [...], 'Topic': [...], ...}."""
    claims = {"Adds": [], "Entry": [], "Topic": [], "Part": []}
    free = []
    for line in text.split("\n"):
        match = CLAIM.match(line)
        if match:
            claims[match.group(1)].append(match.group(2))
        else:
            free.append(line)
    return "\n".join(free).strip("\n"), claims


def parse_patch(data, path=""):
    """Read a patch file. What is wrong with it is listed in its problems."""
    patch = Patch(path=path, topic=path.split("/")[0] if "/" in path else "")
    lines = data.split(b"\n")

    def problem(text):
        patch.problems.append(f"patches/{path}: {text}")

    if lines[0] != FROM_LINE.encode():
        problem("does not start with 'From <40 zeros> Mon Sep 17 00:00:00 2001'")
    start = parse_headers(lines, patch, problem)
    if not split_signature(lines):
        problem("no signature line '-- ' at the end")
    end = next((n for n in range(start, len(lines)) if lines[n].rstrip() == b"---"), None)
    if end is None:
        problem("no line '---' after the message")
        end = next((n for n in range(start, len(lines)) if lines[n].startswith(b"diff --git ")), len(lines))
    cut = next((n for n in range(end, len(lines)) if lines[n].startswith(b"diff --git ")), len(lines))
    if b"\r" in b"".join(lines[:cut]):
        problem("carriage return in the message")
    try:
        b"\n".join(lines[:cut]).decode("utf-8")
    except UnicodeDecodeError:
        problem("message is not UTF-8")
    patch.body = b"\n".join(lines[start:end]).decode("utf-8", errors="surrogateescape").strip("\n")
    notes = b"\n".join(lines[end + 1:cut]).decode("utf-8", errors="surrogateescape")
    patch.notes, claims = split_notes(notes)
    patch.adds, patch.entries = claims["Adds"], claims["Entry"]
    for name in ("Topic", "Part"):
        if claims[name]:
            problem(f"line '{name}:' belongs in a commit's notes, not in a patch file")
    if cut < len(lines):
        patch.diff = b"\n".join(lines[cut:]) + b"\n"
        patch.files = parse_diff(patch.diff, problem)
    message_problems(patch, problem)
    content_problems(patch, problem)
    return patch


def message_problems(patch, problem):
    """What the rules say about the message."""
    if len(patch.subject) > SUBJECT_LIMIT:
        problem(f"subject has {len(patch.subject)} characters, {SUBJECT_LIMIT} are allowed")
    if UNFINISHED.match(patch.subject):
        problem(f"unfinished commit '{patch.subject}': fold it (git rebase -i --autosquash base)")
    if not patch.body.strip():
        problem("the message has no body")
    for line in patch.body.split("\n"):
        if breaks_message(line):
            problem(f"git am would end the message at this line of it: {line[:60]}")
    if re.match(r"^(From|Subject|Date):", patch.body):
        problem("git am would take the first line of the message for a header")
    if re.search(r"^\s*signed-off-by:", patch.body + "\n" + patch.notes, re.IGNORECASE | re.MULTILINE):
        problem("carries a Signed-off-by; the person who posts it adds one (SIGNOFF=)")
    for line in patch.notes.split("\n"):
        if line.startswith("diff -"):
            problem(f"this line of the notes would be taken for a diff: {line[:60]}")
    for line in (patch.body + "\n" + patch.notes).split("\n"):
        if line.startswith("From "):
            problem(f"b4 would split the mailbox at this line, wrap it in another way: {line[:60]}")


def content_problems(patch, problem):
    """What the rules say about claims and diff, as far as one patch tells."""
    if not (patch.diff or patch.adds or patch.entries):
        problem("neither a diff nor an Adds: line")
    if patch.adds != sorted(patch.adds):
        problem("Adds: lines are not sorted")
    if patch.entries != sorted(patch.entries):
        problem("Entry: lines are not sorted")
    for path in patch.adds:
        wrong = path_problem(path)
        if wrong:
            problem(f"Adds: {path}: {wrong}")
    for item in patch.files:
        if item.kind == "new":
            problem(f"{item.new}: the diff creates this file; store it whole at {item.new} with an Adds: line")
        elif item.kind == "copy":
            problem(f"{item.new}: the diff copies {item.old}; code is not copied out of upstream files")


def format_patch(header, body, notes, adds, entries, diff):
    """The patch file of a commit. Header is what 'git log --format=email' prints before the body."""
    lines = header.split(b"\n")
    lines[0] = FROM_LINE.encode()
    head = b"\n".join(lines)
    claims = [f"Adds: {path}" for path in sorted(adds)] + [f"Entry: {title}" for title in sorted(entries)]
    parts = ["\n".join(claims), notes]
    text = "\n\n".join(part for part in parts if part)
    text = f"\n\n{body}\n---\n" + (f"{text}\n\n" if text else "")
    return head + text.encode("utf-8", errors="surrogateescape") + diff + b"-- \n"
