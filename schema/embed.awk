# Makes queries.h and queries.c of the SQL files named: awk -f embed.awk -v out=DIR queries/*.sql migrations/*.sql
# vault/*.sql. A query's first lines declare its parameters, `-- :name type`, in order; `:name` in its text becomes
# $n (casts, `::type`, stay), so each file runs in psql as it is, with \set for its variables. Files of migrations
# and vault go in whole, as scripts in order of their numbers.
function quote(line) {
    gsub(/\\/, "&&", line)
    gsub(/"/, "\\\\&", line)
    return "    \"" line "\\n\"\n"
}
function bind(line,    i, before, rest, at, result) {
    for (i = 1; i <= params; i++) {
        result = ""
        rest = line
        while ((at = match(rest, ":" param[i] "([^a-z0-9_]|$)")) > 0) {
            before = at > 1 ? substr(rest, at - 1, 1) : ""
            if (before == ":") {
                result = result substr(rest, 1, at + length(param[i]))
            } else {
                result = result substr(rest, 1, at - 1) "$" i
            }
            rest = substr(rest, at + length(param[i]) + 1)
        }
        line = result rest
    }
    return line
}
function finish() {
    if (name == "") return
    if (kind == "queries") {
        print "const struct query query_" name " = {.name = \"" name "\", .params = " params ", .sql =\n" body "};\n" > c
        print "extern const struct query query_" name ";" > h
    } else {
        scripts[kind] = scripts[kind] "    {.version = " (name + 0) ", .name = \"" name "\", .sql =\n" body "},\n"
    }
}
BEGIN {
    c = out "/queries.c"
    h = out "/queries.h"
    print "/* Made from schema/ by schema/embed.awk. */\n#include \"queries.h\"\n" > c
    print "/* Made from schema/ by schema/embed.awk: the queries by file name, and the migrations. */" > h
    print "#ifndef KR_QUERIES_H\n#define KR_QUERIES_H\n#include \"core/db.h\"\n" > h
    print "struct migration {\n    int version;\n    const char *name;\n    const char *sql;\n};" > h
    print "/* Each ends with a row of version 0. */\nextern const struct migration register_migrations[], vault_migrations[];\n" > h
}
FNR == 1 {
    finish()
    n = split(FILENAME, path, "/")
    kind = path[n - 1]
    name = path[n]
    sub(/\.sql$/, "", name)
    body = ""
    params = 0
    head = 1
}
kind == "queries" && head && /^-- :[a-z_0-9]+ / {
    param[++params] = substr($2, 2)
    next
}
kind == "queries" && /^ *--/ { next }
kind == "queries" && /^ *$/ { next }
{
    if (kind == "queries") { head = 0; $0 = bind($0) }
    body = body quote($0)
}
END {
    finish()
    print "const struct migration register_migrations[] = {\n" scripts["migrations"] "    {.version = 0}};\n" > c
    print "const struct migration vault_migrations[] = {\n" scripts["vault"] "    {.version = 0}};" > c
    print "\n#endif" > h
}
