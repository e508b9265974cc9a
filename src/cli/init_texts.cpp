#include "cli/init_texts.h"

namespace lifeboat {

// clang-format off

std::string_view initial_site() {
    return R"text(# What this environment has. Names given here are what runbooks, backups and drills refer to.
# Paths are taken from the folder of this file.
lifeboat: site/v1

# Where runs are kept: their journals, logs and reports.
state: state

resources:
  shop:   {type: sqlite, path: data/shop.db}
  config: {type: files, path: data/config}
  vault:  {type: local, path: backups}
  # A PostgreSQL database would be:
  #   orders: {type: postgres, host: db1, port: 5432, database: orders, user: lifeboat, password: "${{ secrets.orders_pw }}"}
  # and somebody to tell:
  #   oncall: {type: webhook, url: "${{ secrets.hook }}"}

# A backup set: what is in it and which stores keep it. `lifeboat backup create shop` makes one.
backups:
  shop: {of: [shop, config], to: [vault]}

# What the names that a runbook `requires` mean here. A name that is the same needs no line.
bindings:
  quickstart: {db: shop, config: config, backup: shop}

# Secrets are never written here, only where they come from:
#   secrets:
#     orders_pw: {env: ORDERS_PASSWORD}
#     hook:      {file: hook.url}          # refused unless it is readable by its owner alone
#     other:     {command: [vault, kv, get, -field=value, dr/other]}
#
# Who is told when a run stops for a person, or ends:
#   notify: {on: [paused, in_doubt, failed, done], to: [oncall]}
)text";
}

std::string_view initial_runbook() {
    return R"text(# The first runbook to read: an SQLite database and a folder of configuration files, restored from one backup.
#
#   lifeboat plan quickstart     shows what would be done
#   lifeboat run quickstart      does it
#
# Each step waits for the one above it, unless `needs` names others.
lifeboat: runbook/v1
name: quickstart
summary: Restore an SQLite database and its configuration folder from their backup
severity: minor
objectives: {rto: 5m, rpo: 24h}          # how long it may take, and how much data may be lost
contacts: [{role: owner of the shop, reach: "the person who runs this"}]

# Names used below. The site's `bindings` say which resources they are.
requires: {db: sqlite, config: files, backup: backup}

inputs:
  before: {type: timestamp, default: now, doc: Newest acceptable data}
  least_orders: {type: integer, default: 1, doc: A healthy database holds at least so many orders}

steps:
  - id: assess
    phase: assess
    doc: What is wrong with the database? It is reported, and does not stop us, a damaged one is what we are here for.
    uses: sqlite.check
    with: {database: db, level: full, report: true}

  - id: fetch
    phase: fetch
    doc: The newest backup that is whole; a damaged one is refused and the next older one is taken.
    uses: backup.fetch
    with: {backup: backup, before: "${{ inputs.before }}"}
    retry: {max_attempts: 3, initial_interval: 1s}

  - id: restore_database
    phase: restore
    doc: Restored beside and checked, then moved into place. The damaged one is kept until `lifeboat commit`.
    uses: sqlite.restore
    with: {to: db, from: "${{ steps.fetch.outputs.path }}"}

  - id: restore_config
    phase: restore
    needs: [fetch]
    doc: Likewise, in one atomic exchange of the two folders.
    uses: files.restore
    with: {to: config, from: "${{ steps.fetch.outputs.path }}"}

  - id: healthy
    phase: verify
    needs: [restore_database, restore_config]
    doc: The restored data is looked at; when it is not what it should be, everything above is put back.
    uses: sql.check
    with:
      database: db
      checks:
        - {name: enough orders, query: "select count(*) from orders", expect: "value >= ${{ inputs.least_orders }}"}
        - {name: every order has a customer, query: "select count(*) from orders where customer not in (select id from customers)", expect: "value == 0"}
)text";
}

std::string_view initial_drill() {
    return R"text(# The quickstart's runbook against a sandbox: pages of the database are overwritten and the configuration is cut, in a folder
# made for it. The sweeps then kill the run at its journal's records, and let each of its steps fail.
#
#   lifeboat drill drills/quickstart.yaml
lifeboat: drill/v1
runbook: ../runbooks/quickstart.yaml

sandbox:
  db:     {type: sqlite, load: fixtures/quickstart.sql}
  config: {type: files, load: fixtures/quickstart-config}
  vault:  {type: local}
backups:
  backup: {of: [db, config], to: [vault]}

inputs: {least_orders: 2000}

setup:
  - {id: base, uses: backup.create, with: {backup: backup}}
  - {id: truth, uses: sql.fingerprint, with: {database: db}}

disaster:
  - {id: overwrite, uses: fault.corrupt_file, with: {of: db, offset: 8192, bytes: garbage, times: 3000}}
  - {id: cut, uses: fault.corrupt_file, with: {of: config, file: shop.conf, truncate: 10B}}

observe:
  - {id: now, uses: sql.fingerprint, with: {database: db}, on_failure: continue}     # it may be damaged when a run was rolled back
  - {id: looked, uses: sqlite.check, with: {database: db, report: true}}

expect:
  - {that: "run.verdict == 'recovered'"}
  - {that: "run.rto <= objectives.rto"}
  - {that: "run.rpo <= objectives.rpo"}
  - {that: "observe.looked.outputs.ok"}
  - {that: "observe.now.outputs.digest == setup.truth.outputs.digest"}

sweep: [kill_at_every_event, fail_every_step]
)text";
}

std::string_view initial_database() {
    return R"text(create table customers (id integer primary key, name text not null);
create table orders (id integer primary key, customer integer not null references customers (id), cents integer not null, placed_at text not null);
create index orders_by_customer on orders (customer);
with recursive n (i) as (select 1 union all select i + 1 from n where i < 100)
insert into customers select i, 'customer ' || i from n;
with recursive n (i) as (select 1 union all select i + 1 from n where i < 2000)
insert into orders select i, 1 + i % 100, 100 + (i * 7919) % 90000, datetime('2026-01-01', '+' || i || ' minutes') from n;
)text";
}

std::string_view initial_settings() {
    return R"text(# settings of the shop
listen = 127.0.0.1:8080
database = shop.db
workers = 4
)text";
}

std::string_view initial_features() {
    return R"text({"checkout": true, "recommendations": false}
)text";
}

// clang-format on

}  // namespace lifeboat
