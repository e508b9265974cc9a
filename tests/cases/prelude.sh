# Words for the cases. Sourced by run_cases.py before each `cmd`, in an empty folder.

# Steps side by side end in any order: here they do not run side by side.
one_by_one() {
    sed -i 's/^steps:/max_parallel: 1\nsteps:/' runbooks/quickstart.yaml
}

# An example site here, with a backup, and its talk left out.
shop() {
    "$LIFEBOAT" init . > /dev/null 2>&1
    one_by_one
    "$LIFEBOAT" backup create shop > /dev/null 2>&1
}

# Pages in the middle of the database are overwritten, the configuration is ruined.
damage() {
    dd if=/dev/zero of=data/shop.db bs=4096 seek=2 count=6 conv=notrunc status=none
    rm data/config/features.json
    printf 'workers = none\n' > data/config/shop.conf
}

# The same as a drill's sandbox, so that faults are honoured.
drill_shop() {
    "$LIFEBOAT" init . > /dev/null 2>&1
    one_by_one
    echo none > nonce
    cat > lifeboat.yaml <<'SITE'
lifeboat: site/v1
state: state
resources:
  db:     {type: sqlite, path: data/shop.db}
  config: {type: files, path: data/config}
  vault:  {type: local, path: backups}
backups:
  backup: {of: [db, config], to: [vault]}
drill: {id: case, nonces: {db: none, config: none, vault: none}}
SITE
    "$LIFEBOAT" backup create backup > /dev/null 2>&1
}

# One line: whether the data is as it was when the site was made.
health() {
    "$LIFEBOAT" init "$HOME/fresh" > /dev/null 2>&1
    if diff -r "$HOME/fresh/data/config" data/config > /dev/null; then echo "config: as it was"; else echo "config: different"; fi
    python3 - <<'PY'
import sqlite3
try:
    database = sqlite3.connect("file:data/shop.db?mode=ro", uri=True)
    print("orders:", database.execute("select count(*), sum(cents) from orders").fetchone(), database.execute("pragma integrity_check").fetchone()[0])
except sqlite3.DatabaseError as error:
    print("orders: damaged")
PY
}
