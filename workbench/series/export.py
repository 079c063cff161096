# SPDX-License-Identifier: GPL-2.0
"""Mailboxes of the parts as a person posts them, and the proof that b4 turns them into the assembled tree."""

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


class Posting:
    """A part with its commits on just what it needs, and with those it has in the whole series."""

    def __init__(self, part, patches, needs, alone, stacked):
        self.part = part
        self.patches = patches
        self.needs = needs
        self.start, self.commits = alone
        self.stack_start, self.stack_commits = stacked


def chosen(part, only):
    """Is it the topic or the part that was asked for?"""
    return only in (None, part.topic, part.label)


def file_name(repository, part):
    """The name of its mailbox: sorted by name they are in order."""
    return f"{repository.series.parts.index(part) + 1:02}-{part.label.replace('/', '-')}.mbx"


def postings(builder, commits, only=None, messages=None):
    """The parts that have patches, in order."""
    repository = builder.repository
    start, number, found = builder.base, 0, []
    for part, patches in repository.parts():
        ours = commits[number:number + len(patches)]
        stacked = (start, ours)
        number += len(patches)
        start = ours[-1] if ours else start
        if ours and chosen(part, only):
            needs = repository.series.needed(part)
            found.append(Posting(part, patches, needs, alone(builder, part, needs, stacked, messages), stacked))
    return found


def alone(builder, part, needs, stacked, messages):
    """(start, commits) of a part on the base and what it needs."""
    repository = builder.repository
    before = repository.series.parts[:repository.series.parts.index(part)]
    if [other for other in before if other.patches] == [other for other in needs if other.patches]:
        return stacked
    wanted = [*needs, part]
    patches = [patch for other, those in repository.parts() if other in wanted for patch in those]
    try:
        commits = builder.part(patches).build(messages)
    except CommandError as failure:
        names = ", ".join(other.label for other in needs) or "the base"
        raise CommandError([f"part {part.label} does not apply on {names} alone; does it need more?",
                            *failure.problems]) from failure
    count = len(part.patches)
    return (commits[-count - 1] if needs else builder.base), commits[-count:]


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


def base_lines(settings, repository, posting):
    """What the cover letter says about what a part stands on."""
    kernel = settings.get("BASE_KERNEL", "")
    version = settings.get("BASE_VERSION", "")
    lines = []
    if settings.get("BASE_SOURCE") != "git":
        if settings.get("BASE_SOURCE") == "debian":
            version = f"Debian linux-source-{'.'.join(kernel.split('.')[:2])} {version}"
        lines.append(f"base: Linux {kernel} ({version})" if version else f"base: Linux {kernel or 'unknown'}")
    part = posting.part
    if part.name:
        lines.append("part: {} of {} of topic {}".format(*repository.series.number(part), part.topic))
    if part.needs is None:
        before = [other.label for other in posting.needs if other.patches]
        lines += [f"stacked on: {', '.join(before)}"] if before else []
    else:
        direct = [other for other in posting.needs if other.label in part.needs]
        lines += [f"depends on: {other.label} ({cover_text(repository, other)[0]})" for other in direct] \
            or ["depends on: nothing else"]
    return lines


def cover_text(repository, part):
    """Subject and body of the cover letter."""
    data = read(repository.top / "patches" / part.cover)
    if data is None:
        say(f"note: patches/{part.cover} does not exist; the cover letter is left to fill in")
        return part.title or "*** SUBJECT HERE ***", "*** BLURB HERE ***"
    subject, _, body = data.decode("utf-8").partition("\n")
    return subject.strip(), body.strip("\n")


def format_mails(git, posting, sender, settings):
    """What git format-patch makes of a part: one bytes object for each mail."""
    newest = max(posting.patches, key=lambda patch: int(patch.stamp().split()[0]))
    environment = {"GIT_COMMITTER_NAME": sender[0], "GIT_COMMITTER_EMAIL": sender[1],
                   "GIT_COMMITTER_DATE": f"@{newest.stamp()}"}
    base = f"--base={git.commit(assemble.BASE)}" if settings.get("BASE_SOURCE") == "git" else "--no-base"
    options = [option for option in DIFF_OPTIONS if option not in ("-p", "-r")]
    data = git.out("format-patch", "--stdout", "--cover-letter", "--cover-from-description=none", "--thread=shallow",
                   "--numbered", "--zero-commit", "--subject-prefix=PATCH", "--no-signature", "--no-signoff",
                   "--no-attach", "--no-from", "--no-to", "--no-cc", "--no-add-header", "--no-notes",
                   "--encode-email-headers", "--stat=75", "--summary", "-p", base, *options,
                   f"{posting.start}..{posting.commits[-1]}", env=environment)
    mails = [MAIL_START + part for part in re.split(rb"^" + re.escape(MAIL_START), data, flags=re.MULTILINE)[1:]]
    if len(mails) != len(posting.commits) + 1:
        raise CommandError(f"{posting.part.label}: {len(mails)} mails for {len(posting.commits)} patches")
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
    """The command: write one mailbox per part."""
    if signer and not parse_address(signer):
        raise CommandError(f"not 'Name <mail>': {signer}")
    builder, commits = assemble.build(git, repository)
    messages = None
    if signer:
        messages = {patch.path: signed(git, patch.message(), signer) for patch in repository.patches}
        commits = builder.build(messages)
    settings = base_settings(build)
    out.mkdir(parents=True, exist_ok=True)
    written = set()
    for posting in postings(builder, commits, only, messages):
        author = (posting.patches[0].name, posting.patches[0].mail)
        mails, seconds = format_mails(git, posting, parse_address(signer) if signer else author, settings)
        subject, body = cover_text(repository, posting.part)
        mails[0] = fill_cover(mails[0], subject, "\n\n".join(
            text for text in (body, "\n".join(base_lines(settings, repository, posting))) if text))
        path = out / file_name(repository, posting.part)
        files.write(path, b"".join(stable_ids(mails, seconds)))
        written.add(path.stem)
        say(f"{path}: {len(posting.patches)} patches and a cover letter")
    if only is None:
        remove_others(repository, out, written)


def remove_others(repository, out, written):
    """Mailboxes of parts that are not there any more, or had another number, would be taken for some to send."""
    for path in sorted(out.iterdir()):
        ours = re.match(r"\d\d-", path.stem) or path.stem in repository.series.topics
        if ours and path.suffix in (".mbx", ".to") and path.stem not in written:
            path.unlink()
            say(f"{path}: removed, it is of an earlier order")


def prove(git, repository, out, only=None):
    """The command: b4 applies each mailbox on what it needs, and on all before it, where it gets the assembled tree."""
    builder, commits = assemble.build(git, repository)
    problems = []
    for posting in postings(builder, commits, only):
        path = out / file_name(repository, posting.part)
        label, count = posting.part.label, len(posting.patches)
        if not path.exists():
            problems.append(f"{path} does not exist; run make mbox")
            continue
        places = [(posting.stack_start, posting.stack_commits, "", " as assembled")]
        if posting.start != posting.stack_start:
            alone_on = ", ".join(other.label for other in posting.needs) or "the base"
            places.insert(0, (posting.start, posting.commits, f" on {alone_on} alone", ""))
        for start, made, where, what in places:
            wanted = git.tree(made[-1])
            with tempfile.TemporaryDirectory(prefix="series-b4-") as folder:
                problem = apply_with_b4(git, start, count, path.resolve(), folder, wanted)
            if problem:
                problems.append(f"{path}{where and ','}{where}: {problem}")
            else:
                say(f"{label}: b4 applied {count} patches{where}, tree {wanted}{what}")
    if problems:
        raise CommandError(problems)


def apply_with_b4(git, start, wanted_count, path, folder, wanted):
    """Apply a mailbox in a clone that shares the objects and has no files; returns what is wrong, or None."""
    clone = os.path.join(folder, "linux")
    home = os.path.join(folder, "home")
    os.mkdir(home)
    git.out("clone", "--quiet", "--shared", "--no-checkout", git.work_tree, clone)
    inner = Git(clone)
    for name, value in (("user.name", "Series"), ("user.email", "series@localhost"), ("commit.gpgSign", "false"),
                        ("gc.auto", "0"), ("am.threeWay", "false"),
                        # Each patch writes the index, of 95,000 files: just what changes of it takes half the time.
                        ("core.splitIndex", "true")):
        inner.out("config", name, value)
    inner.out("sparse-checkout", "set", "--no-cone", "/none")
    inner.out("checkout", "--quiet", "--detach", start)
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
    count = int(inner.text("rev-list", "--count", f"{start}..HEAD"))
    if count != wanted_count:
        return f"b4 made {count} commits of {wanted_count} patches"
    if inner.tree("HEAD") != wanted:
        return f"b4 made tree {inner.tree('HEAD')}, assembled is {wanted}"
    return None
