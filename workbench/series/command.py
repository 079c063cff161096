# SPDX-License-Identifier: GPL-2.0
"""The patch series: stored form (patches/, overlay files, MAINTAINERS) <-> commits in build/linux.

  series check                      rules that need no kernel
  series assemble [--into REF]      commits on branch series of build/linux; FORCE=1 drops unsaved commits
  series refresh                    write the commits of branch series back to the stored form
  series round-trip                 assemble without a work tree, then compare what refresh would write
  series parts                      what is posted at once, in order: number, name, patches, what it stands on
  series export                     one mailbox per part in build/mbox
  series prove-mbox                 b4 applies each mailbox on what it needs, and on all that is before it
  series recipients                 whom scripts/get_maintainer.pl names for each mailbox, beside it
  series range-diff REVISION        what changed since a revision of this repository, as git range-diff shows it
  series prefixes                   commit id, part and subject of each commit, oldest first
  series files | touched            overlay files | every path that the series adds or changes
"""

import argparse
from pathlib import Path

from lib import console, paths
from lib.errors import CommandError
from series import assemble, branch, export, rangediff, recipients, refresh, tree
from series.branch import forced, linux
from series.repo import Repository


def command_check(repository, _):
    """All problems of the stored form."""
    problems = repository.check()
    if problems:
        raise CommandError(problems)
    console.say(f"{len(repository.patches)} patches, {len(repository.overlay)} new files, "
           f"{len(repository.maintainers.titles)} MAINTAINERS entries: no problem")


def command_assemble(repository, options):
    """Commits from the stored form."""
    with branch.locked():
        tree.assemble(linux(), repository, force=options.force or forced(), into=options.into,
                      checkout=not options.no_checkout)


def command_refresh(repository, options):
    """Stored form from the commits."""
    with branch.locked():
        refresh.refresh(linux(), repository, force=options.force or forced())


def command_round_trip(repository, _):
    """Assemble and refresh without touching a file."""
    git = linux()
    builder, commits = assemble.build(git, repository)
    assemble.tell_offsets(builder)
    problems = refresh.roundtrip(git, repository, assemble.tip(builder, commits))
    if problems:
        raise CommandError(problems)
    console.say(f"Round trip of {len(commits)} commits is clean, tree {git.tree(assemble.tip(builder, commits))}")


def mailboxes(options):
    """The folder of the mailboxes."""
    return Path(options.out) if options.out else paths.BUILD / "mbox"


def command_parts(repository, options):
    """What is posted at once."""
    for part in repository.series.parts:
        if export.chosen(part, options.topic):
            needs = "all before" if part.needs is None else ", ".join(part.needs) or "nothing"
            print(f"{export.file_name(repository, part)}: {len(part.patches)} patches, needs {needs}: {part.title}")


def command_export(repository, options):
    """One mailbox per part."""
    export.export(linux(), repository, paths.BUILD, mailboxes(options), options.topic, options.signoff)


def command_prove_mbox(repository, options):
    """Apply the mailboxes with b4 and compare trees."""
    export.prove(linux(), repository, mailboxes(options), options.topic)


def command_recipients(repository, options):
    """Whom to send each mailbox to."""
    recipients.recipients(linux(), repository, mailboxes(options), options.topic)


def command_range_diff(repository, options):
    """Compare with an earlier revision's series."""
    rangediff.range_diff(linux(), repository, options.revision)


def command_prefixes(repository, options):
    """Commits of the series, one per line."""
    _, commits = assemble.build(linux(), repository)
    for commit, patch in zip(commits, repository.patches):
        label = repository.label(patch)
        if options.topic in (None, patch.topic, label):
            print(f"{commit} {label} {patch.subject}")


def command_files(repository, _):
    """Overlay files."""
    for path in repository.overlay:
        print(path)


def command_touched(repository, _):
    """Overlay files, edited upstream files, MAINTAINERS."""
    paths = set(repository.overlay)
    for patch in repository.patches:
        paths.update(patch.touched())
        paths.update(["MAINTAINERS"] if patch.entries else [])
    for path in sorted(paths):
        print(path)


def parse_arguments(words):
    """The command line."""
    parser = argparse.ArgumentParser(prog="wb series", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, function in sorted(globals().items()):
        if name.startswith("command_"):
            sub = commands.add_parser(name[len("command_"):].replace("_", "-"), help=function.__doc__)
            sub.set_defaults(function=function)
            if name in ("command_prefixes", "command_parts", "command_export", "command_prove_mbox", "command_recipients"):
                sub.add_argument("--topic", help="just this topic, or part of one as TOPIC/PART")
            if name in ("command_export", "command_prove_mbox", "command_recipients"):
                sub.add_argument("--out", metavar="DIR", help="folder of the mailboxes (build/mbox)")
            if name == "command_export":
                sub.add_argument("--signoff", metavar="'Name <mail>'", help="add this Signed-off-by")
            if name == "command_range_diff":
                sub.add_argument("revision", help="a commit, tag or branch of this repository")
            if name in ("command_assemble", "command_refresh"):
                sub.add_argument("--force", action="store_true", help="as FORCE=1: drop what is in the way")
            if name == "command_assemble":
                sub.add_argument("--into", metavar="REF", help="set this ref, leave the work tree alone")
                sub.add_argument("--no-checkout", action="store_true", help="only build, print the tree id")
    return parser.parse_args(words)


def main(words):
    """Run a command."""
    options = parse_arguments(words)
    repository = Repository(paths.TOP)
    topic = getattr(options, "topic", None)
    if topic and topic not in [*repository.series.topics, *(part.label for part in repository.series.parts)]:
        raise CommandError(f"no topic or part {topic} in patches/series; 'workbench/wb series parts' lists them")
    options.function(repository, options)
    return 0
