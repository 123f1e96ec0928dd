"""A file system of a few hundred megabytes, where root may mount one, that can be filled to its last byte."""
import os
import shutil
import subprocess


class SmallDisk:
    def __init__(self, path):
        self.path, self.ballast = path, os.path.join(path, "ballast")

    @classmethod
    def make(cls, path, megabytes, owner=None):
        """None where this machine or this user may not mount."""
        os.mkdir(path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "none", path],
                              capture_output=True) if os.geteuid() == 0 else None
        if done is None or done.returncode != 0:
            os.rmdir(path)
            return None
        if owner:
            shutil.chown(path, owner, owner)
        return cls(path)

    def fill(self):
        """Nothing fits on it any more."""
        with open(self.ballast, "wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass

    def clear(self):
        if os.path.exists(self.ballast):
            os.unlink(self.ballast)

    def remove(self):
        """Whoever still has a file open there keeps it until he closes it."""
        subprocess.run(["umount", "-l", self.path], capture_output=True)
        if os.path.isdir(self.path):
            shutil.rmtree(self.path, ignore_errors=True)
