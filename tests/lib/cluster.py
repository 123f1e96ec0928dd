"""One of a stack's PostgreSQL clusters as somebody sees it who backs it up and restores it."""
import os
import shutil
import subprocess

from stack import ROOT, Failed

POSTGRES = "/usr/lib/postgresql/15/bin"


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Failed(f"{command[0]} exited {done.returncode}: {done.stderr[-400:]}")
    return done.stdout


class Cluster:
    def __init__(self, stack, name):
        self.stack, self.name = stack, name
        self.data = os.path.join(stack.directory, name)

    def aside(self, label):
        return os.path.join(self.stack.directory, "log", f"{self.name}-{label}")

    def backup(self, label):
        """A base backup of the running cluster, with the WAL that makes it whole."""
        run(f"{POSTGRES}/pg_basebackup", "-d", self.stack.env[self.name.upper() + "_CONNINFO"], "-D", self.aside(label),
            "-X", "stream", "-c", "fast", "--no-sync")

    def switch(self, action):
        run(os.path.join(ROOT, "deploy", "stack"), f"{action}-{self.name}", self.stack.directory)

    def put(self, label, keep=None, wal=None):
        """The cluster is that backup from now on; keep: what it was is set aside; wal: with all WAL of that one."""
        self.switch("stop")
        if keep:
            os.rename(self.data, self.aside(keep))
        else:
            shutil.rmtree(self.data)
        shutil.copytree(self.aside(label), self.data, symlinks=True)
        if wal:
            shutil.copytree(os.path.join(self.aside(wal), "pg_wal"), os.path.join(self.data, "pg_wal"), dirs_exist_ok=True)
        self.own()
        self.switch("start")

    def take_back(self, label):
        self.switch("stop")
        shutil.rmtree(self.data)
        os.rename(self.aside(label), self.data)
        self.own()
        self.switch("start")

    def own(self):
        os.chmod(self.data, 0o700)
        if os.geteuid() == 0:
            run("chown", "-R", "postgres:postgres", self.data)
