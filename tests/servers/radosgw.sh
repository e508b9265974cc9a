#!/bin/bash
# radosgw.sh DIR PORT: an S3 server that checks signatures. Ceph's gateway over one monitor and one object daemon that keeps
# everything in memory; uses PORT to PORT+19 of 127.0.0.1. CLOCK="-2 hours" lets the gateway live at another time. With COLD=1
# it has the storage classes GLACIER and DEEP_ARCHIVE, and cold_storage.py, our stand-in for what Ceph does not do, in front.
. "$(dirname "$0")/common.sh"
stand_in=$(realpath "$(dirname "$0")/cold_storage.py")
needs radosgw:radosgw ceph-mon:ceph-mon ceph-osd:ceph-osd ceph:ceph-common monmaptool:ceph-common curl:curl ${CLOCK:+faketime:faketime} ${COLD:+python3:python3}
setup "$@"

cluster=$dir/ceph.conf
export CEPH_CONF=$cluster
mkdir -p "$dir/mon" "$dir/osd" "$dir/log" "$dir/run" "$dir/rgw"
id=$(cat /proc/sys/kernel/random/uuid)
cat >"$cluster" <<CONF
[global]
fsid = $id
mon_host = v2:127.0.0.1:$((port + 1))
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# without authentication the gateway would wait for ever for the encrypted mode that it asks for by default
ms_mon_client_mode = crc
ms_bind_msgr1 = false
ms_bind_ipv6 = false
ms_bind_port_min = $((port + 2))
ms_bind_port_max = $((port + 18))
run_dir = $dir/run
admin_socket = $dir/run/\$name.\$pid.asok
log_file = $dir/log/\$name.log
mon_cluster_log_file = $dir/log/cluster.log
crash_dir = $dir/log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_warn_on_pool_no_redundancy = false
[mon.a]
mon_data = $dir/mon
mon_data_avail_crit = 1
mon_data_avail_warn = 2
# the gateway makes about ten pools, each of which would wait a second
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
auth_allow_insecure_global_id_reclaim = true
[osd.0]
osd_data = $dir/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_class_dir = /usr/lib/x86_64-linux-gnu/rados-classes
osd_numa_auto_affinity = false
[client.rgw]
rgw_data = $dir/rgw
rgw_frontends = beast endpoint=127.0.0.1:$port
rgw_dns_name = localhost
rgw_thread_pool_size = 16
rgw_enable_usage_log = false
rgw_enable_gc_threads = false
rgw_enable_quota_threads = false
rgw_run_sync_thread = false
CONF

monmaptool --create --fsid "$id" --addv a "[v2:127.0.0.1:$((port + 1))]" "$dir/monmap"
ceph-mon -i a --mkfs --monmap "$dir/monmap"
ceph-mon -i a -f &
ceph-osd -i 0 --mkfs --osd-uuid "$(cat /proc/sys/kernel/random/uuid)"
until_true 100 timeout 5 ceph osd new "$(cat "$dir/osd/fsid")" 0
ceph-osd -i 0 -f &
osd_is_up() { timeout 5 ceph osd stat | grep -q '1 up'; }
until_true 100 osd_is_up
if [ -n "${COLD:-}" ]; then
    radosgw-admin -n client.rgw user list  # makes the zone
    for class in GLACIER DEEP_ARCHIVE; do
        radosgw-admin -n client.rgw zonegroup placement add --rgw-zonegroup default --placement-id default-placement --storage-class $class
        radosgw-admin -n client.rgw zone placement add --rgw-zone default --placement-id default-placement --storage-class $class \
            --data-pool default.rgw.cold.data
    done
fi
${CLOCK:+faketime -f "$CLOCK"} radosgw -n client.rgw -f &
until_true 600 answers "http://127.0.0.1:$port/"

key=LIFEBOATTESTKEY secret=lifeboat+test/secret=of=no=value
radosgw-admin -n client.rgw user create --uid=test --display-name=test --access-key=$key --secret-key=$secret
${CLOCK:+faketime -f "$CLOCK"} curl -sSf -X PUT --aws-sigv4 aws:amz:default:s3 -u "$key:$secret" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "http://127.0.0.1:$port/vault"
service=$port
if [ -n "${COLD:-}" ]; then
    service=$((port + 19))
    python3 "$stand_in" "$service" "$port" "$dir" &
    until_true 100 answers "http://127.0.0.1:$service/"
fi
ready S3_ENDPOINT="http://127.0.0.1:$service" S3_BUCKET=vault S3_KEY_ID=$key S3_KEY="$secret"
