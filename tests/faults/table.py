"""The one table of faults. A fault is a function of (world, random) that strikes, holds for a while, heals what it broke and
returns a few words on what it did; the campaign then waits for recovery. All chance comes from `random`, which belongs to the
fault's number in the schedule. What a fault holds the world to besides (a reason that must be shown, an entry in the audit)
it demands itself."""
import collections

from scene import RECOVERY_S
from stack import Failed

Fault = collections.namedtuple("Fault", "name strike nasty deadline weight fits")
FAULTS = {}


class NotStruck(Exception):
    """What the fault waits for did not come: a labelled point that nobody passed, a machine that does not allow it."""


def fault(name, nasty=(), deadline=RECOVERY_S, weight=2, fits=lambda world: True):
    """Enters the function below it. nasty: the numbers that it belongs to; weight: how often it is drawn; fits: whether
    this world is one for it."""
    def enter(function):
        FAULTS[name] = Fault(name, function, nasty, deadline, weight, fits)
        return function
    return enter


def demand(fine, why):
    if not fine:
        raise Failed(why)


def await_strike(world, what, condition, seconds=20):
    """Waits for what shows that the fault bit; without it nothing was survived."""
    try:
        return world.wait_for(what, condition, seconds)
    except Failed as error:
        raise NotStruck(str(error)) from error
