"""A shop that never closes: random persons' events (tests/judge/play.py) at an even pace, in a thread of its own, while
faults strike. It can be told to pause at once, or between two shops, so that no customer's events are half sent."""
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "judge")]
import play  # noqa: E402
from judge import Refs, read_key  # noqa: E402

PEOPLE = 6  # a shop; many small ones, so that there is soon an end at which to pause
DAY_US = 86400 * 1000000
ENDS_A_LIFE = ("privacy.request.", "shop.customer.closed")


class Load(threading.Thread):
    def __init__(self, stack, seed, pace):
        """pace: events a second."""
        super().__init__(daemon=True)
        self.stack, self.seed, self.pace, self.sent, self.shops = stack, seed, pace, 0, 0
        secrets = os.path.join(stack.directory, "secrets")
        self.refs = Refs(read_key(os.path.join(secrets, "ref")), read_key(os.path.join(secrets, "digest")))
        self.goes, self.between, self.idle = threading.Event(), threading.Event(), threading.Event()
        self.ended, self.erasing, self.failure = False, True, None
        self.goes.set()
        self.between.set()

    def run(self):
        try:
            while not self.ended:
                self.idle.set()
                self.between.wait()
                self.goes.wait()
                self.idle.clear()
                self.shop()
        except Exception as error:  # the campaign asks for it
            self.failure = f"{type(error).__name__}: {error}"
        self.idle.set()

    def events(self):
        """Of the next shop, in the order in which they arrive. Without erasures while a restore must remember them all."""
        midnight = int(time.time()) // 86400 * DAY_US
        self.shops += 1
        shop = play.Shop(self.seed * 100003 + self.shops, self.refs, midnight - 21 * DAY_US, f"l{self.seed}-{self.shops}-")
        shop.people(PEOPLE)
        erasing = self.erasing
        return [event for event in shop.arriving() if erasing or not event["type"].startswith(ENDS_A_LIFE)]

    def shop(self):
        due = time.monotonic()
        for event in self.events():
            self.goes.wait()
            if self.ended:
                return
            self.stack.send(event)
            self.sent += 1
            due = max(due + 1 / self.pace, time.monotonic() - 1)  # what was missed is not made up for in one burst
            time.sleep(max(0, due - time.monotonic()))

    # ---- told by others ----

    def pause(self):
        self.goes.clear()

    def pause_between_shops(self, seconds=120):
        """Returns once the shop in hand is sent."""
        self.between.clear()
        if not self.idle.wait(seconds):
            raise TimeoutError("the load did not come to the end of a shop")

    def calm(self):
        """Goes on, but nobody asks to be erased until resume()."""
        self.pause_between_shops()
        self.erasing = False
        self.between.set()
        self.goes.set()

    def resume(self):
        self.erasing = True
        self.between.set()
        self.goes.set()

    def end(self):
        self.ended = True
        self.resume()
        self.join(60)
