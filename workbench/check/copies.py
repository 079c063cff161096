# SPDX-License-Identifier: GPL-2.0
"""A file of the kernel with several mutants: each function that they change is there once for each, and one is chosen at boot.

    static int fn(int a)            becomes     static int fn__mutant_0(int a)         the body as it is
    {                                           static int fn__mutant_K(int a)         the body with mutant K
            BODY                                static int fn(int a)                   asks mutant_chosen which of them to call
    }

The kernel's style says what a function is: a signature that ends before a line with `{` alone, and a body up to a line with `}`
alone. A mutant can be in such a file if all that it changes is in bodies, and the function can be called by another with the
same signature; else Alone says why not. Lines with #include may come as well: they do no harm to the others.
"""

import dataclasses
import re

NAME = "{}__mutant_{}"
NAMED = re.compile(r"__mutant_\d+")
COPY = re.compile(r"\b(\w+)__mutant_(\d+)")
DECLARED = """\
extern unsigned int mutant_chosen;
extern void mutant_was_early(const char *name);
"""

# Words of a signature that are no part of the type. Attributes have two underscores, but so have some types.
NO_TYPE = {"static", "extern", "inline", "noinline", "noinstr", "notrace", "asmlinkage", "noinline_for_stack", "nokprobe_inline"}
TYPE = re.compile(r"__(?:[us]|le|be)\d+|__\w+_t|__sum16|__wsum")
LINKAGE = re.compile(r"\b(?:static|extern|asmlinkage|__visible|__weak|__used)\b[ \t]*")
INLINE = re.compile(r"\b(?:inline|__inline|__always_inline|nokprobe_inline|noinstr)\b")
UNUSED = re.compile(r"\b(?:__maybe_unused|__always_unused|__unused)\b")

# What a body means differently, or cannot have twice, where it is a copy that another function calls.
OF_ONE_BODY = (
    (re.compile(r"\b(?:_RET_IP_|__builtin_return_address|__builtin_frame_address)\b"), "asks who called it"),
    (re.compile(r"\basm\b(?s:.)*\"\s*(?:\.globl\b|[A-Za-z_]\w*:)"), "has a label in assembly"),
    (re.compile(r"^#\s*define\b", re.M), "defines a macro"),
)


class Alone(Exception):
    """Why a mutant cannot share a kernel with others."""


@dataclasses.dataclass(frozen=True)
class Function:
    """A function as it is written."""
    signature: str      # with the newline before the body
    body: str           # from { to }, with the last newline


@dataclasses.dataclass(frozen=True)
class Call:
    """What is known of a signature."""
    name: str
    start: int          # of the name, in the signature
    arguments: tuple

    def renamed(self, signature, number):
        """The signature of a copy: static, of its own, and not missed if nobody calls it."""
        head, tail = signature[:self.start], signature[self.start + len(self.name):]
        how = "__unused__" if INLINE.search(head) else "__noinline__, __unused__"
        return f"static __attribute__(({how})) {LINKAGE.sub('', head)}{NAME.format(self.name, number)}{tail}"


def pieces(text):
    """The functions of a file, and the text between them, in their order."""
    lines, found, between, at = text.splitlines(keepends=True), [], [], 0
    while at < len(lines):
        end = body_end(lines, at) if lines[at].rstrip() == "{" else None
        if not end:
            between.append(lines[at])
            at += 1
            continue
        signature = []
        while between and of_signature(between[-1]):
            signature.insert(0, between.pop())
        found += ["".join(between), Function("".join(signature), "".join(lines[at:end]))]
        between, at = [], end
    return [*found, "".join(between)]


def body_end(lines, start):
    """The line after a body, if what begins here is the body of a function: initializers end with }; and have = before."""
    before = lines[start - 1].rstrip() if start else ""
    if before.endswith(("=", ",", "\\")):
        return None
    for number in range(start + 1, len(lines)):
        if lines[number].startswith("}"):
            return number + 1 if lines[number].rstrip() == "}" else None
    return None


def of_signature(line):
    """Whether a line before a body, or before another such line, is of the function's signature."""
    text = line.rstrip()
    return bool(text) and not text.startswith("#") and not text.endswith(("*/", ";", "}", "\\", ":"))


def plain(text):
    """The same length without comments."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda match: " " * len(match[0]), text, flags=re.S)


def groups(text):
    """(start of the word before, start, end) of each pair of parentheses that is in no other."""
    found, depth, start = [], 0, 0
    for at, char in enumerate(text):
        if char == "(":
            depth += 1
            start = at if depth == 1 else start
        elif char == ")":
            depth -= 1
            if not depth:
                found.append((start - len(re.search(r"\w*$", text[:start])[0]), start, at + 1))
    return found


def type_words(text, attributes=True):
    """The words of a text that are no attributes. What is in parentheses does not count, nor does the word before them, if it is
    known that that is an attribute."""
    for word, start, end in reversed(groups(text)):
        text = text[:word if attributes else start] + " " + text[end:]
    return [word for word in re.findall(r"\w+|\*", text)
            if word not in NO_TYPE and (not word.startswith("__") or TYPE.fullmatch(word))]


def call_of(signature):
    """How a function is called, by its signature."""
    text = plain(signature)
    for word, start, end in groups(text):
        name, before, after = text[word:start], type_words(text[:word]), type_words(text[end:], False)
        if name and before and not after:
            if re.search(r"\b__noreturn\b", text):
                raise Alone(f"{name}() does not return")
            return Call(name, word, tuple(arguments(name, text[start + 1:end - 1])))
    if found := re.match(r"\s*(?:static\s+)?(\w+)\s*\(", text):
        raise Alone(f"the signature is a macro: {found[1]}")
    raise Alone(f"not understood as a signature: {' '.join(text.split())[:80] or 'nothing'}")


def arguments(name, text):
    """The names of a function's parameters."""
    found, depth, parameter = [], 0, ""
    for char in text + ",":
        depth += (char in "([") - (char in ")]")
        if char == "," and not depth:
            found.append(" ".join(UNUSED.sub("", parameter).split()))
            parameter = ""
        else:
            parameter += char
    if found in ([""], ["void"]):
        return []
    if "..." in found:
        raise Alone(f"{name}() takes any number of arguments")
    return [argument(name, parameter) for parameter in found]


def argument(name, parameter):
    """The name of one parameter."""
    pointer = re.search(r"\(\s*\*\s*(?:const\s+)?(\w+)\s*(?:\[\w*\]\s*)*\)\s*\(.*\)$", parameter)
    match = pointer or re.search(r"[\w*\s][\s*](\w+)\s*(?:\[[^]]*\]\s*)*$", parameter)
    if not match:
        raise Alone(f"a parameter of {name}() has no name: {parameter}")
    return match[1]


def copied(function):
    """How a function is called, if it can have copies."""
    call = call_of(function.signature)
    for pattern, told in OF_ONE_BODY:
        if pattern.search(function.body):
            raise Alone(f"{call.name}() {told}")
    if len(re.findall(r"^#\s*if", function.body, re.M)) != len(re.findall(r"^#\s*endif", function.body, re.M)):
        raise Alone(f"the preprocessor cuts {call.name}()")
    return call


def includes(text, before):
    """The lines with #include that a text has, and the one before it has not; and the text without them."""
    known, added, rest = set(before.splitlines()), [], []
    for line in text.splitlines(keepends=True):
        (added if line.startswith("#include") and line.rstrip() not in known else rest).append(line)
    return tuple(line.strip() for line in added), "".join(rest)


def changed(before, text):
    """What a mutant does to a file, of which the pieces are given: {number of a piece: body}, and lines with #include."""
    now, bodies, added = pieces(text), {}, ()
    if len(now) != len(before):
        raise Alone("changes more than bodies of functions")
    for number, (old, new) in enumerate(zip(before, now)):
        if isinstance(old, str):
            more, rest = includes(new, old)
            if rest.split() != old.split():
                raise Alone("changes something outside of functions")
            added += more
        elif old.signature != new.signature:
            raise Alone(f"changes a signature: {' '.join(new.signature.split())[:80]}")
        elif old.body != new.body:
            copied(old)
            copied(new)
            bodies[number] = new.body
    return bodies, added


@dataclasses.dataclass(frozen=True)
class Span:
    """Lines of a merged file that are there on account of some mutants."""
    first: int
    last: int
    numbers: frozenset


def merged(before, changes, added=()):
    """The text of a file of which the pieces are given, with all of {number of a piece: {mutant: body}}, and its spans."""
    text, spans = "", []

    def add(more, numbers):
        nonlocal text
        first = text.count("\n") + 1
        text += more
        spans.append(Span(first, text.count("\n"), frozenset(numbers)))

    for number, piece in enumerate(before):
        if isinstance(piece, str):
            text += with_includes(piece, added) if not number else piece
        elif number not in changes:
            text += piece.signature + piece.body
        else:
            call, copies = copied(piece), {0: piece.body, **changes[number]}
            add(f"{DECLARED}{piece.signature.rstrip()};\n\n", changes[number])
            for mutant, body in sorted(copies.items()):
                add(f"{call.renamed(piece.signature, mutant)}{body}\n", [mutant] if mutant else changes[number])
            add(piece.signature + dispatcher(call, piece.signature, sorted(changes[number])), changes[number])
    return text, spans


def with_includes(text, added):
    """The head of a file with more lines behind its last #include."""
    if not added:
        return text
    lines = text.splitlines(keepends=True)
    last = max((number for number, line in enumerate(lines, 1) if line.startswith("#include")), default=len(lines))
    return "".join([*lines[:last], *(f"{line}\n" for line in dict.fromkeys(added)), *lines[last:]])


def dispatcher(call, signature, numbers):
    """The body that calls one of the copies. What runs before the parameter is known tells so, but where nothing may be called."""
    early = "" if "noinstr" in signature else f'\tif (mutant_chosen == ~0U)\n\t\tmutant_was_early("{call.name}");\n'

    def calls(number):
        return f"\t\treturn {NAME.format(call.name, number)}({', '.join(call.arguments)});\n"

    return "".join(["{\n", early, "\tswitch (mutant_chosen) {\n",
                    *(f"\tcase {number}U:\n{calls(number)}" for number in numbers), f"\tdefault:\n{calls(0)}", "\t}\n}\n"])
