"""A strict reader of JSON (RFC 8259) that tells each of the dead letters 4 to 9 of SEMANTICS.md apart.

read(text, outer) gives (value, reason numbers). Objects are dicts, numbers int or Real. Depth is counted in containers;
`outer` levels stand outside of what is counted, as a structured event's own object does.
"""
import json
import re

NOT_JSON, TWO_DOCUMENTS, TOO_DEEP, DUPLICATE_KEY, NUL_CHARACTER, LONE_SURROGATE = 4, 5, 6, 7, 8, 9
DEEPEST = 8
SPACE = re.compile(r"[ \t\n\r]*")
HALF = re.compile("[\ud800-\udfff]")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class Real:
    """A number that is not written as an integer."""

    def __init__(self, text):
        self.text = text


class Pairs(list):
    """An object with a key twice: its members as they stand."""


def no_constant(name):
    raise ValueError(name)


def integer(text):
    return int(text) if len(text) < 40 else (-1 if text[0] == "-" else 1) * 10 ** 40


def members(pairs):
    found = dict(pairs)
    return found if len(found) == len(pairs) else Pairs(pairs)


DECODER = json.JSONDecoder(object_pairs_hook=members, parse_float=Real, parse_int=integer, parse_constant=no_constant)


def one_value(text, at):
    """(value, where it ends); ValueError when there is none. Python's own decoder gives up on deep nesting."""
    at = SPACE.match(text, at).end()
    try:
        value, end = DECODER.raw_decode(text, at)
    except RecursionError:
        value, end = deep_value(text, at)
    return value, SPACE.match(text, end).end()


def deep_value(text, at):
    """The same without recursion, for what is nested by the thousand: containers are lists, Pairs for objects."""
    stack, tokens = [], re.compile(r'[ \t\n\r]*([\[\]{},:]|"|[^ \t\n\r\[\]{},:"]+|$)')
    expects = "value"  # value, value or end, key, key or end, colon, comma
    while True:
        found = tokens.match(text, at)
        token, start, at = found[1], found.start(1), found.end()
        done = False
        if expects in ("value", "value or end") and token in ("[", "{") and token:
            stack.append(Pairs() if token == "{" else [])
            expects = "key or end" if token == "{" else "value or end"
        elif token and stack and token == ("}" if isinstance(stack[-1], Pairs) else "]") and \
                expects in ("comma", "key or end", "value or end"):
            value, done = stack.pop(), True
        elif token == "," and expects == "comma":
            expects = "key" if isinstance(stack[-1], Pairs) else "value"
        elif token == ":" and expects == "colon":
            expects = "value"
        elif expects.startswith("key") and token == '"':
            key, at = DECODER.raw_decode(text, start)
            stack[-1].append([key, None])
            expects = "colon"
        elif expects.startswith("value") and token and token not in ",:]}":
            value, at = DECODER.raw_decode(text, start)
            done = True
        else:
            raise ValueError("syntax")
        if done:
            if not stack:
                return value, at
            if isinstance(stack[-1], Pairs):
                stack[-1][-1][1] = value
            else:
                stack[-1].append(value)
            expects = "comma"


def walk(value):
    """(depth, all strings, whether a key stands twice anywhere), without recursion."""
    deepest, strings, twice, todo = 0, [], False, [(value, 1)]
    while todo:
        one, depth = todo.pop()
        if isinstance(one, str):
            strings.append(one)
            continue
        if isinstance(one, dict):
            strings += one
            inner = one.values()
        elif isinstance(one, Pairs):
            names = [name for name, _ in one]
            strings += names
            twice |= len(set(names)) < len(names)
            inner = [each for _, each in one]
        elif isinstance(one, list):
            inner = one
        else:
            continue
        deepest = max(deepest, depth)
        todo += [(each, depth + 1) for each in inner]
    return deepest, strings, twice


def read(text, outer=0):
    """(value, set of reasons): the value is None where 4 or 5 is among them."""
    try:
        value, end = one_value(text, 0)
    except ValueError:
        return None, {NOT_JSON}
    if end < len(text):
        try:
            while end < len(text):
                _, end = one_value(text, end)
        except ValueError:
            return None, {NOT_JSON}
        return None, {TWO_DOCUMENTS}
    reasons = set()
    if "\\u" not in text and text.count("{") + text.count("[") <= DEEPEST and not isinstance(value, Pairs) and \
            text.count("{") <= 1:
        return value, reasons
    deepest, strings, twice = walk(value)
    if deepest > DEEPEST + outer:
        reasons.add(TOO_DEEP)
    if twice:
        reasons.add(DUPLICATE_KEY)
    if "\\u" in text:
        if any("\0" in one for one in strings):
            reasons.add(NUL_CHARACTER)
        if any(HALF.search(one) for one in strings):
            reasons.add(LONE_SURROGATE)
    return value, reasons
