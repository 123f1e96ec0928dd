"""A TCP proxy on a free loopback port that passes everything on, until it is told to be a bad network.

It cuts connections (at once, or right behind a COMMIT), refuses new ones, delays what passes, or lets nothing through in
one direction or both while the connections stay open, as a cable does that was pulled. Two threads a connection.
"""
import configparser
import re
import socket
import struct
import threading
import time

CHUNK = 65536
TO_SERVER, TO_CLIENT = "to the server", "to the client"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what is closed now is reset, nothing that waits is sent


class Proxy:
    def __init__(self, target, name=""):
        """target: the port on this host that it stands before."""
        self.target, self.name = target, name
        self.delay_s, self.refusing, self.behind = 0.0, False, None
        self.open_way = {TO_SERVER: threading.Event(), TO_CLIENT: threading.Event()}
        self.pairs, self.lock, self.closed = set(), threading.Lock(), False
        self.heal()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    # ---- what it can be told ----

    def heal(self):
        """An honest network again. Connections that were cut stay cut."""
        self.delay_s, self.refusing, self.behind = 0.0, False, None
        for way in self.open_way.values():
            way.set()

    def delay(self, seconds):
        """Each piece that passes comes that much later."""
        self.delay_s = seconds

    def silence(self, *ways):
        """Nothing passes in these directions (both when none is named), and nobody is told."""
        for way in ways or self.open_way:
            self.open_way[way].clear()

    def refuse(self):
        """New connections are closed at once."""
        self.refusing = True

    def cut(self):
        """Resets every connection; returns how many."""
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            self._end(pair)
        return len(pairs)

    def cut_behind(self, watch):
        """watch(data, memory) says of each piece from a client whether its connection is cut once the piece is through;
        memory is a dictionary of the connection's own."""
        self.behind = watch

    def close(self):
        self.closed = True
        self.listener.close()
        self.heal()
        self.cut()

    # ---- passing on ----

    def _accept(self):
        while not self.closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                if self.refusing:
                    raise OSError
                server = socket.create_connection(("127.0.0.1", self.target), 10)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, server)
            with self.lock:
                self.pairs.add(pair)
            threading.Thread(target=self._pump, args=(pair, client, server, TO_SERVER), daemon=True).start()
            threading.Thread(target=self._pump, args=(pair, server, client, TO_CLIENT), daemon=True).start()

    def _pump(self, pair, source, sink, way):
        memory = {}
        try:
            while data := source.recv(CHUNK):
                if self.delay_s:
                    time.sleep(self.delay_s)
                self.open_way[way].wait()
                sink.sendall(data)
                if way == TO_SERVER and self.behind and self.behind(data, memory):
                    return self._end(pair, gently=True)  # a reset could overtake what was just sent
        except OSError:
            pass
        self.open_way[way].wait()  # not even the end is told
        return self._end(pair, gently=True)

    def _end(self, pair, gently=False):
        """Once a connection. A reset, unless one side ended it by itself."""
        with self.lock:
            if pair not in self.pairs:
                return
            self.pairs.discard(pair)
        for end in pair:
            try:
                if not gently:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


class Commits:
    """Watches PostgreSQL's protocol for COMMITs, which our programs send alone: the text when it is prepared, the
    statement's name afterwards. As a watch of Proxy.cut_behind it cuts behind every `every`th."""

    def __init__(self, every=2):
        self.every, self.seen, self.cuts = every, 0, 0

    def __call__(self, data, memory):
        if not self.is_commit(data, memory.setdefault("prepared", set())):
            return False
        self.seen += 1
        if self.seen % self.every != 1 % self.every:
            return False
        self.cuts += 1
        return True

    @staticmethod
    def is_commit(data, prepared):
        found = re.search(rb"P[\x00-\xff]{4}([^\x00]*)\x00COMMIT\s*\x00", data)
        if found:
            prepared.add(found[1])
        return any(b"B" in data and b"\x00" + name + b"\x00" in data for name in prepared)


def conninfo_through(stack, cluster, role, proxy):
    """The stack's conninfo of that role, by way of the proxy. The password goes with it: its file names the server's own
    port."""
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(stack.env["KUNDREGISTER_CONFIG"], encoding="utf-8")
    conninfo = ini[cluster][role]
    port, passfile = re.search(r"port=(\d+)", conninfo)[1], re.search(r"passfile=(\S+)", conninfo)[1]
    with open(passfile, encoding="utf-8") as file:
        password = next(line.strip().split(":")[4] for line in file if f":{port}:" in line)
    return conninfo.replace(f"port={port}", f"port={proxy.port}").replace(f"passfile={passfile}", f"password={password}")
