#!/usr/bin/env python3
"""Writes an encrypted object as docs/backup-format.md describes it, with another library than lifeboat's: encrypt_by_hand.py SECRET_FILE [SCRYPT_N] < plain > sealed."""
import base64
import hashlib
import os
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FIRST, NEXT = 2**20 - 40 - 16, 2**20 - 16

with open(sys.argv[1], "rb") as file:
    secret = file.read().strip()
kdf = ""
if len(sys.argv) > 2:
    cost, salt = int(sys.argv[2]), os.urandom(16)
    key = hashlib.scrypt(secret, salt=salt, n=cost, r=8, p=1, maxmem=2**31 - 1, dklen=32)
    kdf = f',"kdf":{{"name":"scrypt","salt":"{salt.hex()}","n":{cost},"r":8,"p":1}}'
elif len(secret) == 64:
    key = bytes.fromhex(secret.decode())
else:
    key = base64.b64decode(secret, altchars=b"-_" if b"-" in secret or b"_" in secret else None)
hint = hashlib.sha256(HKDF(SHA256(), 32, None, b"lifeboat key hint v1").derive(key)).hexdigest()[:8]
line = f'{{"lifeboat":"encrypted/v1","scheme":"AES256_GCM_HKDF_1MB","key":"{hint}"{kdf}}}\n'.encode()
salt, prefix = os.urandom(32), os.urandom(7)
aes = AESGCM(HKDF(SHA256(), 32, salt, line).derive(key))

text = sys.stdin.buffer.read()
segments = [text[:FIRST]] + [text[at : at + NEXT] for at in range(FIRST, len(text), NEXT)]
sys.stdout.buffer.write(line + bytes([40]) + salt + prefix)
for number, segment in enumerate(segments):
    last = number == len(segments) - 1
    sys.stdout.buffer.write(aes.encrypt(prefix + number.to_bytes(4, "big") + bytes([last]), segment, None))
