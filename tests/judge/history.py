"""A run as plain data: all that went in, all that came out, and what the register, ledger and vault say. Read from a stack by
reading.py; kept in a file of JSON lines by save() and load(), so that a finding can be looked at again.
"""
import base64
import collections
import json
import zlib

Record = collections.namedtuple("Record", "topic partition offset timestamp key value headers")
Record.place = property(lambda record: (record.topic, record.partition, record.offset))


def header(record, name):
    """The header's text, None when it is not there."""
    for one, value in record.headers:
        if one == name:
            return None if value is None else value.decode("utf-8", "replace")
    return None


# Rows of the register and vault, as far as a judge needs them. Times in µs since 1970.
LedgerRow = collections.namedtuple("LedgerRow", "seq id topic kind subject generation recipient customer shipment service role "
                                   "disclosure_ref decided")
DeadRow = collections.namedtuple("DeadRow", "topic partition offset reason detail")
ParkedRow = collections.namedtuple("ParkedRow", "topic partition offset expires")
PositionRow = collections.namedtuple("PositionRow", "topic partition next parked")
TombstoneRow = collections.namedtuple("TombstoneRow", "subject person generation cut cause complete valid destroyed")
# An outbox row about somebody who was erased, and whether the vault opens its body still.
SealedRow = collections.namedtuple("SealedRow", "seq person generation category opens")
TieRow = collections.namedtuple("TieRow", "request person time")
ROWS = {"ledger": LedgerRow, "dead_letters": DeadRow, "parked": ParkedRow, "positions": PositionRow,
        "tombstones": TombstoneRow, "sealed": SealedRow, "ties": TieRow}


class History:
    """Everything that a judge looks at."""

    def __init__(self):
        self.now = 0                      # µs, when it was read
        self.policy, self.policy_digest = {}, ""
        self.ref_key = self.digest_key = b""
        self.inputs, self.outputs = [], []    # Records, in order by topic and partition
        self.dump, self.notices = [], []      # lines of `dump --open` and `dump --open --notices`
        self.ledger, self.dead_letters, self.parked, self.positions = [], [], [], []
        self.tombstones, self.sealed, self.ties = [], [], []
        self.suppressed = []                  # ids of outputs that the relay recorded as withheld or unpublishable
        self.ends = {}                        # (topic, partition) of the inputs: [the log's start, its end]
        self.counters = {}                    # of the consumer, when it runs: what became of records, by name
        self.refused = None                   # a word: who is named so is refused by a constraint of the register

    # ---- to and from a file ----

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            def line(what, value):
                file.write(json.dumps({what: value}, ensure_ascii=False, separators=(",", ":")) + "\n")
            for name in ("now", "policy", "policy_digest", "counters", "refused", "suppressed"):
                line(name, getattr(self, name))
            line("keys", [self.ref_key.hex(), self.digest_key.hex()])
            line("ends", [[*where, *ends] for where, ends in self.ends.items()])
            for name in ("inputs", "outputs"):
                for record in getattr(self, name):
                    line(name, [*record[:4], text_of(record.key), text_of(record.value),
                                [[one, text_of(value)] for one, value in record.headers]])
            for name in ("dump", "notices", *ROWS):
                for row in getattr(self, name):
                    line(name, row)

    @staticmethod
    def load(path):
        history = History()
        with open(path, encoding="utf-8") as file:
            for text in file:
                (what, value), = json.loads(text).items()
                if what in ("inputs", "outputs"):
                    getattr(history, what).append(
                        Record(*value[:4], bytes_of(value[4]), bytes_of(value[5]),
                               [(one, bytes_of(each)) for one, each in value[6]]))
                elif what in ROWS:
                    getattr(history, what).append(ROWS[what](*value))
                elif what in ("dump", "notices"):
                    getattr(history, what).append(value)
                elif what == "keys":
                    history.ref_key, history.digest_key = (bytes.fromhex(one) for one in value)
                elif what == "ends":
                    history.ends = {(topic, partition): [start, end] for topic, partition, start, end in value}
                else:
                    setattr(history, what, value)
        return history


def text_of(raw):
    """Bytes in JSON: as they read when they are text, else [base64]; long ones ["zlib", base64]."""
    if raw is None:
        return None
    if len(raw) > 4096:
        return ["zlib", base64.b64encode(zlib.compress(raw, 9)).decode()]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return [base64.b64encode(raw).decode()]


def bytes_of(value):
    if isinstance(value, list):
        raw = base64.b64decode(value[-1])
        return zlib.decompress(raw) if len(value) == 2 else raw
    return None if value is None else value.encode()
