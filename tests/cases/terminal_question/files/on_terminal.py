"""`on_terminal.py <answer> <words>...`: the program with a terminal of its own; what stands there, the answer's echo included, and how it ended."""
import os
import pty
import subprocess
import sys

ours, theirs = pty.openpty()
program = subprocess.Popen([os.environ["LIFEBOAT"], *sys.argv[2:]], stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs, start_new_session=True)
os.close(theirs)
seen, answered = b"", False
while True:
    try:
        part = os.read(ours, 65536)
    except OSError:
        break
    if not part:
        break
    seen += part
    if not answered and b"[y/N] " in seen:
        os.write(ours, sys.argv[1].encode().decode("unicode_escape").encode())
        answered = True
print(seen.decode().replace("\r\n", "\n"), end="")
print("exit", program.wait())
