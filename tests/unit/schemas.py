"""Judges schema/events/*.json and schema/asyncapi.yaml by validators that are not ours, and our decoder by the schemas.

usage: schemas.py --schemas DIR --asyncapi FILE --asyncapi-schema FILE --verdict PROGRAM [--cases N] [--seed N]

1. every schema is a valid JSON Schema 2020-12, says its own file's name and resolves all of its references;
2. the AsyncAPI document satisfies the official schema of AsyncAPI 3.0.0, its references lead somewhere, and each
   event schema is used by exactly one message;
3. generated data of every input type, good and spoilt, gets the same verdict from schema and decoder (decode_verdict).

Ends with "N passed, N failed". No network.
"""
import argparse
import copy
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import yaml

DATA_REASONS = {"field_missing", "field_type", "field_range", "bad_id"}
TOPICS = {
    "shop.customer": "shop.customer.v1", "shop.order": "shop.order.v1", "shop.shipment": "shop.shipment.v1",
    "shop.return": "shop.return.v1", "shop.consent": "shop.consent.v1", "privacy.request": "privacy.request.v1",
    "carrier.delivery": "carrier.posti.v1", "carrier.notice": "carrier.posti.v1",
    "register.command": "register.command.v1",
}
NAMES = ["Åsa", "Jürgen", "Мария", "Δημήτρης", "美咲", "محمد", "שרה", "นภา", "김서연", "Nguyễn", "👩‍👩‍👧", "Zoe\u0308", "O'Brien",
         "\"quoted\"", "back\\slash", "tab\tbed", "\u1112\u1161\u11ab", "Łukasz"]

results = {"passed": 0, "failed": 0}


def check(name, fine, why=""):
    results["passed" if fine else "failed"] += 1
    if not fine:
        print(f"not ok - {name}: {why}")


def pattern_ecma(validator, pattern, instance, schema):
    """`$` means the end, as ECMA-262 says; Python's also matches before a last newline."""
    if validator.is_type(instance, "string") and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError("does not match the pattern")


# An integer is what is written as one: the decoder takes 1.0 and 1e2 for no integers, JSON Schema cannot say so.
STRICT = jsonschema.validators.extend(
    jsonschema.Draft202012Validator, {"pattern": pattern_ecma},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)))


def event_validator(schema):
    return STRICT(schema, format_checker=jsonschema.FormatChecker(["date"]))


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def pointer(document, reference):
    for part in reference.split("#/", 1)[1].split("/"):
        document = document[part]
    return document


def schemas_are_schemas(folder):
    schemas = {}
    for path in sorted(folder.glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        name = path.name.removesuffix(".json")
        schemas[name] = schema
        why = ""
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
            for reference in references(schema):
                pointer(schema, reference)
            if schema["$id"] != f"urn:kundregister:schema:{name}":
                why = "$id is not the file's name"
        except Exception as error:  # any complaint is the finding
            why = str(error)
        check(name, not why, why)
    check("schemas present", len(schemas) >= 33, f"only {len(schemas)}")
    return schemas


def asyncapi_is_valid(path, official_path, schemas):
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    official = json.loads(official_path.read_text(encoding="utf-8"))
    errors = list(jsonschema.Draft7Validator(official).iter_errors(document))
    check("asyncapi", not errors, "; ".join(f"{error.json_path}: {error.message[:200]}" for error in errors[:5]))
    spoilt = copy.deepcopy(document)
    spoilt["operations"][next(iter(spoilt["operations"]))]["action"] = "shout"
    check("asyncapi refuses a spoilt one", not jsonschema.Draft7Validator(official).is_valid(spoilt))
    used = []
    for reference in references(document):
        try:
            if reference.startswith("#"):
                pointer(document, reference)
            else:
                used.append((path.parent / reference).resolve().name.removesuffix(".json"))
        except (KeyError, IndexError):
            check(reference, False, "leads nowhere")
    check("one message a schema", sorted(used) == sorted(schemas), set(used) ^ set(schemas))
    names = {message["name"] for message in document["components"]["messages"].values()}
    check("messages are named as types", names == set(schemas), names ^ set(schemas))


class Generator:
    """Data that a schema allows."""

    def __init__(self, schema, chance):
        self.schema, self.chance = schema, chance
        self.validator = event_validator(schema)

    def whole(self):
        while True:
            data = self.value(self.schema)
            if self.validator.is_valid(data):
                return data

    def value(self, schema):
        if "$ref" in schema:
            base = pointer(self.schema, schema["$ref"])
            schema = {**base, **schema, "properties": {**base.get("properties", {}), **schema.get("properties", {})}}
            del schema["$ref"]
            if "$ref" in base:
                return self.value({**schema, "$ref": base["$ref"]})
        if "anyOf" in schema:
            return self.value(self.chance.choice(schema["anyOf"]))
        if "enum" in schema:
            return self.chance.choice(schema["enum"])
        return getattr(self, "a_" + schema.get("type", "object"))(schema)

    def a_null(self, schema):
        return None

    def a_boolean(self, schema):
        return self.chance.random() < 0.5

    def a_integer(self, schema):
        low, high = schema["minimum"], schema["maximum"]
        return self.chance.choice([low, high, self.chance.randint(low, high)])

    def a_array(self, schema):
        return [self.value(schema["items"]) for _ in range(self.chance.choice([1, 1, 2, 3]))]

    def a_object(self, schema):
        alternatives = [one["required"][0] for one in schema.get("oneOf", [])]
        chosen = self.chance.choice(alternatives) if alternatives else None
        return {name: self.value(member) for name, member in schema["properties"].items()
                if name in schema.get("required", []) or name == chosen
                or (name not in alternatives and self.chance.random() < 0.6)}

    def a_string(self, schema):
        chance, pattern = self.chance, schema.get("pattern", "")
        if schema.get("format") == "date":
            return f"20{chance.randint(10, 99)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
        if pattern == "^[A-Za-z0-9_-]+$":
            return "".join(chance.choices("ABCxyz019_-", k=chance.choice([1, 2, 400, schema["maxLength"]])))
        if "{43}" in pattern:
            return "".join(chance.choices("ABCxyz019_-", k=43))
        if "{64}" in pattern:
            return "".join(chance.choices("0123456789abcdefABCDEF", k=64))
        if pattern.startswith("^\\+"):
            return "+" + str(chance.randint(10, 10 ** chance.randint(2, 15) - 1))
        if "@" in pattern:
            return chance.choice(["a@b", "kundtjänst@jerone.fi", "x" * 250 + "@b.c", "用户@例え.jp", "o'b+tag@x.example"])
        if "A-Za-z0-9._:-" in pattern:
            most = schema["maxLength"]
            return "".join(chance.choices("abcXYZ0189._:-", k=chance.choice([2, 5, most])))
        words = " ".join(chance.choices(NAMES, k=2))
        return chance.choice([words, "x", "é" * schema["maxLength"], "😀" * schema["maxLength"]])[:schema["maxLength"]]


STRINGS = ["", " ", "0", "null", "guest", "guest:1", "recipient:7", "a b", "ä", "x\n", "+358401234567", "+0123", "+1", "358",
           "+1234567890123456", "a@b", "a@@b", "@b", "a@", "a b@c", "a\u00a0@b", "a@b\u0085", "a@b\n", "FI", "fi", "XX", "EUR",
           "eur", "2026-02-28", "2026-02-29", "2026-2-1", "2026-13-01", "2026-01-01T00:00:00Z", "sv", "SV", "account",
           "return", "retained", "soft_opt_in", "rectification", "objection", "true"]
OTHERS = [None, True, False, 0, 1, -1, 99, 100, 9999, 10000, 10 ** 12, 10 ** 12 + 1, 2 ** 63 - 1, 2 ** 63, -2 ** 63 - 1, 10 ** 30,
          1.0, 1.5, 1e300, -0.0, [], {}, [1], [None], {"id": "x"}, "1"]


def places(node, found):
    """Every (container, key) below."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(pairs):
        found.append((node, key))
        places(value, found)
    return found


def spoil(data, chance):
    """One change, which need not make it bad."""
    found = places(data, [])
    container, key = chance.choice(found) if found else (data, "customer_id")
    value = container.get(key) if isinstance(container, dict) else container[key]
    act = chance.randrange(8)
    if act == 0 and found:
        del container[key]
    elif act == 1:
        container[key] = None
    elif act in (2, 3):
        container[key] = chance.choice(OTHERS)
    elif act == 4:
        container[key] = chance.choice(STRINGS)
    elif act == 5 and isinstance(value, str):
        container[key] = chance.choice([value + "x", value[:-1], value * 50, value + "\n", " " + value, value.upper(),
                                        "é" * chance.choice([16, 17, 64, 65, 100, 101, 200, 201])])
    elif act == 6 and isinstance(value, list):
        container[key] = value * chance.choice([0, 2, 250, 501])
    else:
        where = container if isinstance(container, dict) else data
        where[chance.choice(["unknown", "token", "customer_id", "email", "é", "return_id", "buyer", "until", "price"])] = \
            chance.choice([1, "x", "a@b", None, {"deep": [1]}])


def cases(schemas, count, seed):
    chance = random.Random(seed)
    inputs = [name for name in schemas if ".".join(name.split(".")[:2]) in TOPICS]
    generators = {name: Generator(schemas[name], chance) for name in inputs}
    for number in range(count):
        name = inputs[number % len(inputs)]
        data = generators[name].whole()
        for _ in range(chance.choice([0, 1, 1, 1, 2])):
            spoil(data, chance)
        yield name, data


def decoder_agrees(schemas, program, count, seed):
    generated, lines = [], []
    for name, data in cases(schemas, count, seed):
        topic = TOPICS[".".join(name.split(".")[:2])]
        text = json.dumps(data, ensure_ascii=False)
        if len(text.encode()) < 65536:
            generated.append((name, data))
            lines.append(f"{topic}\t{name}\tkey\t{text}\n")
    run = subprocess.run([program], input="".join(lines).encode(), stdout=subprocess.PIPE, check=True, timeout=60)
    reasons = run.stdout.decode().split()
    check("a verdict a case", len(reasons) == len(generated), f"{len(reasons)} of {len(generated)}")
    validators = {name: event_validator(schema) for name, schema in schemas.items()}
    valid = {name: 0 for name, _ in generated}
    for (name, data), reason in zip(generated, reasons):
        fine = validators[name].is_valid(data)
        valid[name] += fine
        judged = reason == "none" or reason in DATA_REASONS or reason in (
            "key_mismatch", "guest_mismatch", "unknown_carrier", "not_supported")
        check(f"{name} {json.dumps(data, ensure_ascii=False)[:300]}", judged and fine == (reason not in DATA_REASONS),
              f"schema says {'valid' if fine else 'invalid'}, decoder says {reason}")
    total = sum(valid.values())
    check("both kinds are many", len(generated) >= 2000 and total > len(generated) / 5
          and len(generated) - total > len(generated) / 5 and all(valid.values()), f"{total} valid of {len(generated)}")
    print(f"{len(generated)} generated events, {total} of them valid")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--schemas", type=Path, required=True)
    parser.add_argument("--asyncapi", type=Path, required=True)
    parser.add_argument("--asyncapi-schema", type=Path, required=True)
    parser.add_argument("--verdict", required=True)
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    schemas = schemas_are_schemas(arguments.schemas)
    asyncapi_is_valid(arguments.asyncapi, arguments.asyncapi_schema, schemas)
    decoder_agrees(schemas, arguments.verdict, arguments.cases, arguments.seed)
    if not results["failed"]:
        print(f"ok - schemas, AsyncAPI document and decoder agree ({results['passed']} checks)")
    return 1 if results["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
