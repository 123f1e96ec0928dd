"""The stack's keyed names (core/ref.h says what they are made of), with Python's own BLAKE2b."""
import base64
import hashlib
import unicodedata


class Refs:
    def __init__(self, ref_key, digest_key):
        self.key = ref_key
        self.lookup_key = hashlib.blake2b(b"kundregister lookup key", key=digest_key, digest_size=32).digest()
        self.known = {}

    def hash(self, label, *parts):
        key = (label, *parts)
        found = self.known.get(key)
        if found is None:
            pieces = []
            for part in key:
                if part is None:
                    pieces.append((-1).to_bytes(8, "little", signed=True))
                elif isinstance(part, int):
                    pieces.append(part.to_bytes(8, "little", signed=True))
                else:
                    raw = part.encode()
                    pieces += [len(raw).to_bytes(8, "little"), raw]
            found = self.known[key] = hashlib.blake2b(b"".join(pieces), key=self.key, digest_size=32).digest()
        return found

    def ref(self, label, *parts):
        return base64.urlsafe_b64encode(self.hash(label, *parts)).rstrip(b"=").decode()

    @staticmethod
    def generation(cut):
        return -1 if cut is None else cut

    def shipment(self, carrier, customer, shipment):
        return self.ref("shipment_ref", carrier, customer, shipment)

    def person(self, recipient, person, generation):
        return self.ref("person_ref", recipient, person, self.generation(generation))

    def disclosure(self, carrier, person, generation, customer, shipment, service, role):
        """A shipment's unit; the newsletter's has neither shipment nor role (None), and its customer is the person."""
        return self.ref("disclosure_ref", carrier, person, self.generation(generation), customer, shipment, service, role)

    def token(self, customer, generation):
        return self.ref("token", customer, self.generation(generation))

    def subject(self, person):
        return self.hash("subject", person).hex()

    def address(self, field, value):
        kind = field
        if field == "email":
            value = unicodedata.normalize("NFC", unicodedata.normalize("NFC", value.strip()).lower())
        return hashlib.blake2b(kind.encode() + b"\0" + value.encode(), key=self.lookup_key, digest_size=32).hexdigest()


def read_key(path):
    with open(path, "rb") as file:
        raw = file.read()
    return raw if len(raw) == 32 else bytes.fromhex(raw.decode().strip())
