# SPDX-License-Identifier: GPL-2.0
"""Mailboxes of the topics as a person posts them, and the proof that b4 turns them into the assembled tree."""

import email.header
import hashlib
import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from lib import files
from lib.console import say
from lib.errors import CommandError
from lib.git import DIFF_OPTIONS, Git, clean_environment
from series import assemble
from series.patch import parse_address
from series.repo import read

# git makes Message-Ids from the current time; a fixed one keeps them stable.
MESSAGE_ID = re.compile(rb"<(cover|[0-9a-f]{40})\.\d+\.git\.([^<>\s]+)>")
MAIL_START = b"From " + b"0" * 40 + b" Mon Sep 17 00:00:00 2001\n"
MIME = b"MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n"


class Topic:
    """A topic with its commits and the commit it starts from."""

    def __init__(self, name, patches, start, commits):
        self.name = name
        self.patches = patches
        self.start = start
        self.commits = commits


def topics(builder, commits, only=None):
    """The topics that have patches, in order."""
    found = []
    number = 0
    start = builder.base
    for name, patches in builder.repository.topics().items():
        part = commits[number:number + len(patches)]
        if part:
            found.append(Topic(name, patches, start, part))
            start = part[-1]
            number += len(part)
    return [topic for topic in found if only in (None, topic.name)]


def signed(git, message, signer):
    """The message with a Signed-off-by at the end of its body, above the notes."""
    parts = message.split("\n---\n", 1)
    parts[0] = git.text("interpret-trailers", "--no-divider", "--if-exists", "addIfDifferent", "--where", "end",
                        "--trailer", f"Signed-off-by: {signer}", stdin=(parts[0].rstrip("\n") + "\n").encode())
    return "\n---\n".join(parts) if len(parts) > 1 else parts[0] + "\n"


def base_settings(build):
    """The settings of build/base.env."""
    text = (read(Path(build) / "base.env") or b"").decode()
    return dict(word.split("=", 1) for word in shlex.split(text, comments=True) if "=" in word)


def base_lines(settings, before):
    """What the cover letter says about the base of a topic."""
    kernel = settings.get("BASE_KERNEL", "")
    version = settings.get("BASE_VERSION", "")
    lines = []
    if settings.get("BASE_SOURCE") != "git":
        if settings.get("BASE_SOURCE") == "debian":
            version = f"Debian linux-source-{'.'.join(kernel.split('.')[:2])} {version}"
        lines.append(f"base: Linux {kernel} ({version})" if version else f"base: Linux {kernel or 'unknown'}")
    if before:
        lines.append(f"stacked on: {', '.join(before)}")
    return lines


def cover_text(repository, topic):
    """Subject and body of the cover letter."""
    data = read(repository.top / "patches" / topic.name / "cover.txt")
    if data is None:
        say(f"note: patches/{topic.name}/cover.txt does not exist; the cover letter is left to fill in")
        return repository.series.topics[topic.name] or "*** SUBJECT HERE ***", "*** BLURB HERE ***"
    subject, _, body = data.decode("utf-8").partition("\n")
    return subject.strip(), body.strip("\n")


def format_mails(git, topic, sender, settings):
    """What git format-patch makes of a topic: one bytes object for each mail."""
    newest = max(topic.patches, key=lambda patch: int(patch.stamp().split()[0]))
    environment = {"GIT_COMMITTER_NAME": sender[0], "GIT_COMMITTER_EMAIL": sender[1],
                   "GIT_COMMITTER_DATE": f"@{newest.stamp()}"}
    base = f"--base={git.commit(assemble.BASE)}" if settings.get("BASE_SOURCE") == "git" else "--no-base"
    options = [option for option in DIFF_OPTIONS if option not in ("-p", "-r")]
    data = git.out("format-patch", "--stdout", "--cover-letter", "--cover-from-description=none", "--thread=shallow",
                   "--numbered", "--zero-commit", "--subject-prefix=PATCH", "--no-signature", "--no-signoff",
                   "--no-attach", "--no-from", "--no-to", "--no-cc", "--no-add-header", "--no-notes",
                   "--encode-email-headers", "--stat=75", "--summary", "-p", base, *options,
                   f"{topic.start}..{topic.commits[-1]}", env=environment)
    mails = [MAIL_START + part for part in re.split(rb"^" + re.escape(MAIL_START), data, flags=re.MULTILINE)[1:]]
    if len(mails) != len(topic.commits) + 1:
        raise CommandError(f"topic {topic.name}: {len(mails)} mails for {len(topic.commits)} patches")
    return mails, int(newest.stamp().split()[0])


def fill_cover(mail, subject, body):
    """Put subject and body into the template that git wrote."""
    header, rest = mail.split(b"\n\n", 1)
    prefix = re.search(rb"^Subject: (\[[^]]*\]) ", header, re.MULTILINE).group(1).decode()
    if not subject.isascii():
        subject = email.header.Header(subject, "utf-8", maxlinelen=60).encode()
    header = re.sub(rb"^Subject: .*(\n .*)*", lambda _: f"Subject: {prefix} {subject}".encode(), header,
                    flags=re.MULTILINE)
    if not body.isascii() and b"\nContent-Transfer-Encoding:" not in header:
        header += b"\n" + MIME.rstrip(b"\n")
    return header + b"\n\n" + rest.replace(b"*** BLURB HERE ***", body.encode(), 1)


def stable_ids(mails, seconds):
    """Give the mails Message-Ids that depend on nothing but their content."""
    content = b"".join(MESSAGE_ID.sub(b"<>", mail) for mail in mails)
    cover = b"cover." + hashlib.sha256(content).hexdigest()[:12].encode()

    def replace(match):
        first = cover if match.group(1) == b"cover" else match.group(1)
        return b"<%s.%d.git.%s>" % (first, seconds, match.group(2))

    done = []
    for mail in mails:
        header, rest = mail.split(b"\n\n", 1)
        # One line per header: b4 0.12 stops at a folded From or Subject.
        header = re.sub(rb"\n[ \t]+", b" ", MESSAGE_ID.sub(replace, header))
        done.append(header + b"\n\n" + rest)
    return done


def export(git, repository, build, out, only=None, signer=None):
    """The command: write one mailbox per topic."""
    if signer and not parse_address(signer):
        raise CommandError(f"not 'Name <mail>': {signer}")
    builder, commits = assemble.build(git, repository)
    if signer:
        messages = [signed(git, patch.message(), signer) for patch in repository.patches]
        commits = builder.build(messages)
    settings = base_settings(build)
    out.mkdir(parents=True, exist_ok=True)
    before = []
    for topic in topics(builder, commits):
        if only in (None, topic.name):
            author = (topic.patches[0].name, topic.patches[0].mail)
            mails, seconds = format_mails(git, topic, parse_address(signer) if signer else author, settings)
            subject, body = cover_text(repository, topic)
            mails[0] = fill_cover(mails[0], subject, "\n\n".join(
                part for part in (body, "\n".join(base_lines(settings, before))) if part))
            path = out / f"{topic.name}.mbx"
            files.write(path, b"".join(stable_ids(mails, seconds)))
            say(f"{path}: {len(topic.patches)} patches and a cover letter")
        before.append(topic.name)


def prove(git, repository, out, only=None):
    """The command: b4 applies each mailbox on its base and gets the assembled tree."""
    builder, commits = assemble.build(git, repository)
    problems = []
    for topic in topics(builder, commits, only):
        path = out / f"{topic.name}.mbx"
        if not path.exists():
            problems.append(f"{path} does not exist; run make mbox")
            continue
        wanted = git.tree(topic.commits[-1])
        with tempfile.TemporaryDirectory(prefix="series-b4-") as folder:
            problem = apply_with_b4(git, topic, path.resolve(), folder, wanted)
        if problem:
            problems.append(f"{path}: {problem}")
        else:
            say(f"{topic.name}: b4 applied {len(topic.commits)} patches, tree {wanted} as assembled")
    if problems:
        raise CommandError(problems)


def apply_with_b4(git, topic, path, folder, wanted):
    """Apply a mailbox in a clone that shares the objects and has no files; returns what is wrong, or None."""
    clone = os.path.join(folder, "linux")
    home = os.path.join(folder, "home")
    os.mkdir(home)
    git.out("clone", "--quiet", "--shared", "--no-checkout", git.work_tree, clone)
    inner = Git(clone)
    for name, value in (("user.name", "Series"), ("user.email", "series@localhost"), ("commit.gpgSign", "false"),
                        ("gc.auto", "0"), ("am.threeWay", "false")):
        inner.out("config", name, value)
    inner.out("sparse-checkout", "set", "--no-cone", "/none")
    inner.out("checkout", "--quiet", "--detach", topic.start)
    environment = {name: value for name, value in clean_environment().items() if not name.startswith("XDG_")}
    environment.update({"HOME": home, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": "1",
                        "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"})
    try:
        done = subprocess.run(["b4", "--offline-mode", "shazam", "-m", str(path)], cwd=clone, env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError:
        return "b4 is not installed"
    report = done.stdout.decode(errors="replace")
    lines = re.findall(r"^(?:error|fatal|Patch failed|CRITICAL).*", report, re.MULTILINE) or report.splitlines()[-1:]
    if done.returncode:
        return "b4 could not apply it: " + "; ".join(lines[:3])
    count = int(inner.text("rev-list", "--count", f"{topic.start}..HEAD"))
    if count != len(topic.commits):
        return f"b4 made {count} commits of {len(topic.commits)} patches"
    if inner.tree("HEAD") != wanted:
        return f"b4 made tree {inner.tree('HEAD')}, assembled is {wanted}"
    return None
