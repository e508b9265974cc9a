#include <algorithm>
#include <mutex>
#include <thread>

#include "actions/postgres_catalogue.h"
#include "actions/postgres_connection.h"
#include "actions/sql_digest.h"
#include "base/text.h"

namespace lifeboat {

namespace {

const std::string own_schemas = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

std::string not_of_extension(const std::string& catalogue, const std::string& alias) {
    return "not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_catalog." + catalogue +
           "'::pg_catalog.regclass and e.objid = " + alias + ".oid and e.deptype = 'e')";
}

// Settings on which the text of a value depends; everything else is set by every session of ours.
PostgresSessionWish reading() {
    return {.read_only = true,
            .settings = {{"search_path", ""}, {"lc_monetary", "C"}, {"row_security", "off"}, {"xmlbinary", "base64"}}};
}

// One COPY: a table, or a range of its blocks.
struct Piece {
    std::string table;
    std::string copy;
    std::uint64_t bytes = 0;
};

constexpr std::uint64_t piece_blocks =
    16384;  // 128 MiB: large tables are cut, so that one does not keep a single session busy

std::vector<Piece> pieces_of(PostgresConnection& session) {
    const PostgresRows tables = session.query(
        "select pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind, pg_catalog.pg_relation_size(c.oid), "
        "pg_catalog.current_setting('block_size')::bigint, "
        "(select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum) from "
        "pg_catalog.pg_attribute a "
        "where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') "
        "from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
        "where c.relkind in ('r', 'm') and c.relpersistence <> 't' and " +
        own_schemas);
    const bool can_cut = session.server_major() >= 14;  // before, a range of blocks reads the whole table
    std::vector<Piece> pieces;
    for (const auto& row : tables.rows) {
        const std::string name = row[0].value_or("");
        const std::uint64_t bytes = number_of(row[2]);
        const std::uint64_t blocks = bytes / std::max<std::uint64_t>(1, number_of(row[3]));
        const std::string select = "SELECT " + row[4].value_or("") + " FROM ONLY " + name;
        if (!can_cut || row[1] == "m" || blocks <= piece_blocks + piece_blocks / 2) {
            pieces.push_back({name, "COPY (" + select + ") TO STDOUT", bytes});
            continue;
        }
        for (std::uint64_t first = 0; first < blocks; first += piece_blocks) {
            std::string where = " WHERE ctid >= '(" + std::to_string(first) + ",0)'";
            // the last piece has no end: the table may have grown since
            const bool last = first + piece_blocks >= blocks;
            if (!last) where += " AND ctid < '(" + std::to_string(first + piece_blocks) + ",0)'";
            pieces.push_back({name, "COPY (" + select + where + ") TO STDOUT", bytes / (blocks / piece_blocks + 1)});
        }
    }
    // large objects hang on no table; their content is read like one
    if (number_of(session.value("select count(*) from pg_catalog.pg_largeobject_metadata")) > 0) {
        pieces.push_back({"(large objects)",
                          "COPY (SELECT oid, pg_catalog.lo_get(oid) FROM pg_catalog.pg_largeobject_metadata) TO STDOUT",
                          0});
    }
    std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.bytes > b.bytes; });
    return pieces;
}

// Reads pieces beside each other, in one snapshot.
class Readers {
  public:
    Readers(std::vector<Piece> pieces, Context& context) : pieces_(std::move(pieces)), context_(context) {
        for (const Piece& piece : pieces_)
            total_ += piece.bytes;
    }

    void work(PostgresConnection& session) {
        for (;;) {
            std::size_t mine = 0;
            {
                const std::lock_guard lock(mutex_);
                if (failure_ || next_ == pieces_.size()) return;
                mine = next_++;
            }
            const Piece& piece = pieces_[mine];
            RowSum sum;
            std::uint64_t bytes = 0;
            session.copy_out(piece.copy, [&](std::string_view row) {
                sum.add(row);
                bytes += row.size();
                if (sum.rows() % 65536 == 0) tell(piece.table, std::exchange(bytes, 0));
            });
            tell(piece.table, bytes);
            const std::lock_guard lock(mutex_);
            sums_[piece.table].add(sum);
        }
    }

    void fail(std::exception_ptr failure) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::move(failure);
        failed_.request_stop();
    }
    std::stop_source& failed() { return failed_; }

    std::map<std::string, RowSum> sums() {
        if (failure_) std::rethrow_exception(failure_);
        return std::move(sums_);
    }

  private:
    void tell(const std::string& table, std::uint64_t bytes) {
        const std::lock_guard lock(mutex_);
        read_ += bytes;
        context_.progress({.what = "reading " + table, .done = read_});
    }

    const std::vector<Piece> pieces_;
    Context& context_;
    std::mutex mutex_;
    std::size_t next_ = 0;
    std::uint64_t read_ = 0;
    std::uint64_t total_ = 0;
    std::map<std::string, RowSum> sums_;
    std::exception_ptr failure_;
    std::stop_source failed_;
};

// One line for each definition; sorted before they are hashed, so that nothing depends on OIDs.
std::vector<std::string> definition_queries() {
    const std::string classes = not_of_extension("pg_class", "c");
    return {
        "select 'schema ' || nspname from pg_catalog.pg_namespace n where " + own_schemas,
        "select pg_catalog.format('extension %s %s', extname, extversion) from pg_catalog.pg_extension",
        "select pg_catalog.format('relation %s %I.%I %s %s %s %s', c.relkind, n.nspname, c.relname, c.relpersistence, "
        "c.reloptions, "
        "pg_catalog.pg_get_expr(c.relpartbound, c.oid), case c.relkind when 'p' then "
        "pg_catalog.pg_get_partkeydef(c.oid) "
        "when 'v' then pg_catalog.pg_get_viewdef(c.oid) when 'm' then pg_catalog.pg_get_viewdef(c.oid) end) "
        "from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
        "where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't' and " +
            own_schemas + " and " + classes,
        "select pg_catalog.format('column %I.%I %s %I %s %s %s %s %s %s', n.nspname, c.relname, "
        "pg_catalog.row_number() over (partition by c.oid order by a.attnum), a.attname, "
        "pg_catalog.format_type(a.atttypid, a.atttypmod), "
        "a.attnotnull, pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, l.collname) "
        "from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace "
        "n on n.oid = c.relnamespace "
        "left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum "
        "left join pg_catalog.pg_collation l on l.oid = a.attcollation "
        "where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and "
        "c.relpersistence <> 't' and " +
            own_schemas + " and " + classes,
        "select pg_catalog.format('constraint %s %s %s %s %s', o.conrelid::pg_catalog.regclass, "
        "o.contypid::pg_catalog.regtype, o.conname, "
        "pg_catalog.pg_get_constraintdef(o.oid), o.convalidated) from pg_catalog.pg_constraint o "
        "join pg_catalog.pg_namespace n on n.oid = o.connamespace where " +
            own_schemas,
        "select 'index ' || pg_catalog.pg_get_indexdef(c.oid) from pg_catalog.pg_class c join pg_catalog.pg_namespace "
        "n on n.oid = c.relnamespace "
        "where c.relkind in ('i', 'I') and c.relpersistence <> 't' and " +
            own_schemas,
        "select case when p.prokind = 'a' then 'aggregate ' || p.oid::pg_catalog.regprocedure::text else 'routine ' || "
        "pg_catalog.pg_get_functiondef(p.oid) end from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = "
        "p.pronamespace where " +
            own_schemas + " and " + not_of_extension("pg_proc", "p"),
        "select pg_catalog.format('trigger %s %s', pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled) from "
        "pg_catalog.pg_trigger t "
        "where not t.tgisinternal",
        "select pg_catalog.format('enum %s %s', t.oid::pg_catalog.regtype, "
        "pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ',' "
        "order by e.enumsortorder)) from pg_catalog.pg_type t join pg_catalog.pg_enum e on e.enumtypid = t.oid group "
        "by t.oid",
        "select pg_catalog.format('domain %s %s %s %s', t.oid::pg_catalog.regtype, "
        "pg_catalog.format_type(t.typbasetype, t.typtypmod), "
        "t.typnotnull, t.typdefault) from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = "
        "t.typnamespace where t.typtype = 'd' and " +
            own_schemas,
        "select pg_catalog.format('policy %s %I %s %s %s %s', p.polrelid::pg_catalog.regclass, p.polname, p.polcmd, "
        "p.polpermissive, "
        "pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) from "
        "pg_catalog.pg_policy p",
        "select 'rule ' || pg_catalog.pg_get_ruledef(r.oid) from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on "
        "c.oid = r.ev_class "
        "join pg_catalog.pg_namespace n on n.oid = c.relnamespace where r.rulename <> '_RETURN' and " +
            own_schemas,
        "select pg_catalog.format('sequence %I.%I %s %s %s %s %s %s %s', n.nspname, c.relname, "
        "s.seqtypid::pg_catalog.regtype, s.seqstart, "
        "s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle) from pg_catalog.pg_sequence s join "
        "pg_catalog.pg_class c on c.oid = s.seqrelid "
        "join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relpersistence <> 't'",
        "select pg_catalog.format('inherits %s %s %s', i.inhrelid::pg_catalog.regclass, "
        "i.inhparent::pg_catalog.regclass, i.inhseqno) "
        "from pg_catalog.pg_inherits i",
        "select 'statistics ' || pg_catalog.pg_get_statisticsobjdef(s.oid) from pg_catalog.pg_statistic_ext s",
    };
}

std::vector<std::string> ownership_queries() {
    const auto grants = [](const std::string& kind, const std::string& acl, const std::string& owner,
                           const std::string& code) {
        return "select pg_catalog.format('" + kind +
               " %s %s %s %s', x.name, a.privilege_type, coalesce(r.rolname, 'public'), a.is_grantable) from x "
               "cross join pg_catalog.aclexplode(coalesce(x." +
               acl + ", pg_catalog.acldefault(" + code + ", x." + owner +
               "))) a "
               "left join pg_catalog.pg_roles r on r.oid = a.grantee";
    };
    return {
        "with x as (select pg_catalog.format('%I.%I', n.nspname, c.relname) as name, c.relacl, c.relowner, c.relkind "
        "from pg_catalog.pg_class c "
        "join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') "
        "and c.relpersistence <> 't' and " +
            own_schemas + ") " +
            grants("relation", "relacl", "relowner", "case x.relkind when 'S' then 's' else 'r' end::\"char\"") +
            " union all select pg_catalog.format('relation %s owner %s', x.name, "
            "pg_catalog.pg_get_userbyid(x.relowner)) from x",
        "with x as (select p.oid::pg_catalog.regprocedure::text as name, p.proacl, p.proowner from pg_catalog.pg_proc "
        "p "
        "join pg_catalog.pg_namespace n on n.oid = p.pronamespace where " +
            own_schemas + " and " + not_of_extension("pg_proc", "p") + ") " +
            grants("routine", "proacl", "proowner", "'f'") +
            " union all select pg_catalog.format('routine %s owner %s', x.name, "
            "pg_catalog.pg_get_userbyid(x.proowner)) from x",
        "with x as (select n.nspname as name, n.nspacl, n.nspowner from pg_catalog.pg_namespace n where " +
            own_schemas + ") " + grants("schema", "nspacl", "nspowner", "'n'") +
            " union all select pg_catalog.format('schema %s owner %s', x.name, pg_catalog.pg_get_userbyid(x.nspowner)) "
            "from x",
    };
}

std::string digest_of_lines(PostgresConnection& session, const std::vector<std::string>& queries) {
    std::vector<std::string> lines;
    for (const std::string& query : queries) {
        for (auto& row : session.query(query).rows)
            lines.push_back(row[0].value_or(""));
    }
    std::sort(lines.begin(), lines.end());
    Sha256 hash;
    for (const std::string& line : lines) {
        hash.update(line);
        hash.update(std::string_view("\0", 1));
    }
    return to_hex(hash.finish());
}

Json sequences_of(PostgresConnection& session) {
    const PostgresRows names = session.query(
        "select pg_catalog.format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_class c join "
        "pg_catalog.pg_namespace n on n.oid = c.relnamespace "
        "where c.relkind = 'S' and c.relpersistence <> 't' and " +
        own_schemas + " order by 1");
    Json sequences = Json::object();
    constexpr std::size_t at_once = 200;
    for (std::size_t first = 0; first < names.rows.size(); first += at_once) {
        std::string sql;
        for (std::size_t i = first; i < std::min(names.rows.size(), first + at_once); ++i) {
            const std::string name = names.rows[i][0].value_or("");
            sql += (sql.empty() ? "" : " union all ") + std::string("select ") + quote_literal(name) +
                   ", last_value, is_called from " + name;
        }
        for (const auto& row : session.query(sql).rows) {
            sequences[row[0].value_or("")] = Json{{"last_value", row[1].value_or("")}, {"is_called", row[2] == "t"}};
        }
    }
    return sequences;
}

}  // namespace

Fingerprint fingerprint_postgres(const ActionWorld& world, const ResolvedResource& resource, Context& context,
                                 int jobs) {
    PostgresConnection first = connect_postgres(world, resource, context, reading());
    first.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const std::string snapshot = first.value("select pg_catalog.pg_export_snapshot()").value_or("");
    Fingerprint fingerprint;
    fingerprint.catalogue = digest_of_lines(first, definition_queries());
    fingerprint.ownership = digest_of_lines(first, ownership_queries());
    fingerprint.sequences = sequences_of(first);

    std::vector<Piece> pieces = pieces_of(first);
    const auto sessions =
        std::min<std::size_t>(static_cast<std::size_t>(jobs), std::max<std::size_t>(1, pieces.size()));
    Readers readers(std::move(pieces), context);
    const std::stop_callback deed(context.stop, [&readers] { readers.failed().request_stop(); });
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 1; i < sessions; ++i) {
            threads.emplace_back([&] {
                try {
                    PostgresConnection session = connect_postgres(
                        world, resource, context.run_id,
                        {.stop = readers.failed().get_token(), .deadline = context.deadline}, reading());
                    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT " +
                                    quote_literal(snapshot));
                    readers.work(session);
                } catch (...) {
                    readers.fail(std::current_exception());
                }
            });
        }
        try {
            first.set_patience({.stop = readers.failed().get_token(), .deadline = context.deadline});
            readers.work(first);
        } catch (...) {
            readers.fail(std::current_exception());
        }
    }
    fingerprint.tables = readers.sums();
    return fingerprint;
}

}  // namespace lifeboat
