"""Eight questions about the same flows, asked of Weir, DuckDB and chDB in turns: `./dev bench store`.

Pushes a day of flows into a relay, and times each question in each engine, one after the other, round by round, so that
all meet the same weather. Weir is timed through its doors, with the work of encoding and decoding its answers; the others
are libraries in this process that read Parquet files. Prints a table in Markdown: the first run and the best of the
later ones in milliseconds, and the best as a multiple of Weir's.

From memory (the default) the relay holds all flows, and the others read files that the generator wrote. With --files the
relay keeps them in a store and has a memory budget of 1 GiB, everybody reads the files of that store, and before the first run the
system forgets what it has read of them (as root). Then what the relay used to take the flows in is printed, too.

Usage: bench-store.py WEIR FOLDER [--flows N] [--rounds N] [--files]
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import warnings
from datetime import datetime, timedelta, timezone

import adbc_driver_flightsql.dbapi as flightsql
import chdb.session
import duckdb

# There are no transactions, and the driver says so each time.
warnings.filterwarnings("ignore", message="Cannot disable autocommit")

START = datetime(2026, 1, 15, tzinfo=timezone.utc)
DAY = 86_400
# What a relay with a store may occupy, whatever it does.
BUDGET_MIB = 1024


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Relay:
    """A relay on ports of its own: with room for all flows, or with a store and little room."""

    def __init__(self, weir, log, flows, store=None, compact=False):
        rooms = {
            "relay.index.flows_max": 1_000_000 if store else flows + 1_000_000,
            "relay.index.memory_bytes_max": (256 << 20) if store else 8 << 30,
            "relay.store.place": store or "none",
            "relay.store.compact": str(compact).lower(),
            "relay.index.rollup_bytes_max": (128 << 20) if store else 1 << 30,
            "relay.sql.memory_bytes_max": (192 if store else 512) << 20,
            "relay.sql.deadline_ms": 600_000,
        }
        if store:
            rooms["relay.memory_bytes_max"] = BUDGET_MIB << 20
        self.ports = {name: free_port() for name in ["grpc", "http", "flight_sql", "metrics"]}
        settings = [f"relay.{name}.listen=127.0.0.1:{port}" for name, port in self.ports.items()]
        settings += [f"{key}={value}" for key, value in rooms.items()]
        flags = [flag for setting in settings for flag in ("--set", setting)]
        self.process = subprocess.Popen([weir, "relay", *flags], stderr=log, stdout=log)
        wait(lambda: urllib.request.urlopen(self.url("/readyz"), timeout=1).status == 200)
        self.sql = flightsql.connect(f"grpc://127.0.0.1:{self.ports['flight_sql']}")

    def url(self, path, **query):
        text = urllib.parse.urlencode(query)
        return f"http://127.0.0.1:{self.ports['http']}{path}" + (f"?{text}" if text else "")

    def get(self, path, **query):
        with urllib.request.urlopen(self.url(path, **query), timeout=600) as answer:
            return json.load(answer)

    def rows(self, sql):
        with self.sql.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

    def memory_mib(self, line="VmHWM"):
        status = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(rf"{line}:\s+(\d+)", status)[1]) // 1024

    def forget_peak(self):
        """Makes the largest memory count anew."""
        open(f"/proc/{self.process.pid}/clear_refs", "w").write("5")

    def processor_seconds(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.sql.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            sys.exit("the relay does not get ready")
        time.sleep(0.05)


# A map from raw flows: the client's side of every pair, replies turned round.
MAP = """
SELECT CASE WHEN is_reply THEN dst_namespace ELSE src_namespace END AS client_namespace,
  CASE WHEN is_reply THEN dst_workload ELSE src_workload END AS client,
  CASE WHEN is_reply THEN src_namespace ELSE dst_namespace END AS server_namespace,
  CASE WHEN is_reply THEN src_workload ELSE dst_workload END AS server,
  CASE WHEN is_reply THEN src_port ELSE dst_port END AS port, count(*) AS flows,
  sum(CASE WHEN is_reply THEN 0 ELSE bytes END) AS sent, sum(CASE WHEN is_reply THEN bytes ELSE 0 END) AS received,
  sum(packets) AS packets, sum(CASE WHEN http_code >= 500 OR dns_rcode <> 0 THEN 1 ELSE 0 END) AS errors,
  sum(CASE WHEN verdict = 'DROPPED' THEN 1 ELSE 0 END) AS drops
FROM {table} WHERE time >= {since} AND time < {until} GROUP BY 1, 2, 3, 4, 5
"""
LAST = "SELECT * FROM {table} WHERE src_pod = '{pod}' OR dst_pod = '{pod}' ORDER BY time DESC LIMIT 20"
TRACE = "SELECT * FROM {table} WHERE trace_id = '{trace}' ORDER BY time"
DROPS = "SELECT kernel_drop_reason AS reason, count(*) AS n FROM {table} WHERE verdict = 'DROPPED' GROUP BY 1 ORDER BY n DESC"
P99 = """SELECT http_url, {percentile} AS p99, count(*) AS n FROM {table}
WHERE l7_protocol = 'HTTP' AND l7_type = 'RESPONSE' GROUP BY 1 ORDER BY p99 DESC LIMIT 50"""
DNS = """SELECT dns_query, dns_rcode, count(*) AS n FROM {table}
WHERE l7_protocol = 'DNS' AND dns_rcode <> 0 GROUP BY 1, 2 ORDER BY n DESC LIMIT 50"""
PEERS = """SELECT count(DISTINCT CASE WHEN src_workload = '{workload}' THEN dst_pod ELSE src_pod END) AS n FROM {table}
WHERE src_workload = '{workload}' OR dst_workload = '{workload}'"""


def questions(relay, known, end):
    """Each question: its name, how Weir is asked, and the same in SQL for the others."""
    pod = known["pod"].split("/")[1]

    def chart(seconds):
        since = end - timedelta(seconds=seconds)
        return lambda: relay.get("/api/v1/map", since=iso(since), until=iso(end), edges=1_000_000), MAP, since

    drops = "SELECT reason, sum(drops) AS n FROM drops_1h GROUP BY 1 ORDER BY n DESC"
    dns = """SELECT name, rcode, sum(failures) AS n FROM dns_1h WHERE rcode <> 0 GROUP BY 1, 2 ORDER BY n DESC LIMIT 50"""
    p99 = P99.format(table="flows", percentile="approx_percentile_cont(l7_latency_ns, 0.99)")
    peers = PEERS.format(table="flows", workload=known["workload"])
    return [
        ("last 20 of a pod", lambda: relay.get("/api/v1/flows", last=20, pod=known["pod"]), LAST.replace("{pod}", pod), None),
        ("one trace id", lambda: relay.get("/api/v1/flows", last=100, **{"trace-id": known["trace"]}), TRACE.replace("{trace}", known["trace"]), None),
        ("service map of 5 minutes", *chart(300)),
        ("service map of 1 hour", *chart(3_600)),
        ("service map of 24 hours", *chart(DAY)),
        ("top drop reasons", lambda: relay.rows(drops), DROPS, None),
        ("HTTP p99 by route", lambda: relay.rows(p99), P99, None),
        ("DNS failures", lambda: relay.rows(dns), DNS, None),
        ("distinct peers of a workload", lambda: relay.rows(peers), PEERS.replace("{workload}", known["workload"]), None),
    ]


def duck(files, sql, since, end):
    since, until = (f"TIMESTAMPTZ '{iso(moment)}'" for moment in (since or START, end))
    percentile = "approx_quantile(l7_latency_ns, 0.99)"
    text = sql.format(table=f"read_parquet('{files}')", since=since, until=until, percentile=percentile)
    return lambda connection: connection.sql(text).arrow().read_all()


def click(files, sql, since, end):
    since, until = (f"parseDateTime64BestEffort('{iso(moment)}', 6, 'UTC')" for moment in (since or START, end))
    percentile = "quantile(0.99)(l7_latency_ns)"
    text = sql.format(table=f"file('{files}', Parquet)", since=since, until=until, percentile=percentile)
    settings = " SETTINGS use_query_condition_cache = 0, max_threads = " + str(os.cpu_count())
    return lambda session: session.query(text + settings, "Arrow").bytes()


def timed(work):
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("weir")
    arguments.add_argument("folder")
    arguments.add_argument("--flows", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--files", action="store_true")
    asked = arguments.parse_args()
    os.makedirs(asked.folder, exist_ok=True)
    rate = max(1, round(asked.flows / DAY))
    end = START + timedelta(seconds=asked.flows // rate)
    made = ["bench", "generate", "--flows", str(asked.flows), "--rate", str(rate), "--start", iso(START)]
    with open(f"{asked.folder}/relay.log", "w") as log:
        from_files(asked, made, end, log) if asked.files else from_memory(asked, made, end, log)


def from_memory(asked, made, end, log):
    parquet = f"{asked.folder}/flows-{asked.flows}"
    if not os.path.isdir(parquet):
        print(run(asked.weir, *made, "--out", parquet))
    relay = Relay(asked.weir, log, asked.flows)
    try:
        push(relay, asked, made)
        measure(relay, f"{parquet}/*.parquet", end, asked.rounds, lambda: None)
    finally:
        relay.stop()


def from_files(asked, made, end, log):
    store = f"{asked.folder}/store-{asked.flows}"
    if not os.path.exists(f"{store}.complete"):
        shutil.rmtree(store, ignore_errors=True)
        relay = Relay(asked.weir, log, asked.flows, store)
        try:
            push(relay, asked, made)
        finally:
            relay.stop()
        began = time.perf_counter()
        run(asked.weir, "store", "compact", "--set", f"relay.store.place={store}")
        print(f"compacted in {time.perf_counter() - began:.1f} s")
        open(f"{store}.complete", "w").close()
    kept = json.loads(run(asked.weir, "store", "ls", "--json", "--set", f"relay.store.place={store}"))
    each = kept["bytes"] / max(1, kept["flows"])
    print(f"at rest: {kept['flows']} flows in {len(kept['files'])} files, {each:.1f} bytes a flow")
    began = time.perf_counter()
    relay = Relay(asked.weir, log, asked.flows, store)
    try:
        print(f"started in {time.perf_counter() - began:.1f} s, {relay.memory_mib('VmRSS')} MiB")
        # Files that were compacted stay for a while, and are no part of the store any more.
        links = f"{store}.now"
        shutil.rmtree(links, ignore_errors=True)
        os.makedirs(links)
        for number, file in enumerate(kept["files"]):
            os.link(f"{store}/{file['path']}", f"{links}/{number:05}.parquet")
        measure(relay, f"{links}/*.parquet", end, asked.rounds, forget)
    finally:
        relay.stop()


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def push(relay, asked, made):
    print(run(asked.weir, *made, "--streams", "1", "--push", f"http://127.0.0.1:{relay.ports['grpc']}"))
    each = relay.processor_seconds() / asked.flows
    print(f"relay: {each * 1e6:.2f} µs of processor a flow taken in, {1e-3 / each:.0f} k flows/s a core, at most {relay.memory_mib()} MiB")


def forget():
    """Lets the system forget what it has read of files."""
    if os.geteuid() == 0:
        os.sync()
        open("/proc/sys/vm/drop_caches", "w").write("1")


def measure(relay, files, end, rounds, forget):
    def one(sql):
        return relay.rows(sql).to_pylist()[0]

    busiest = one("SELECT src_namespace AS n, src_workload AS w, max(src_pod) AS p, count(*) AS c FROM flows WHERE src_pod <> '' GROUP BY 1, 2 ORDER BY c DESC LIMIT 1 OFFSET 40")
    known = {
        "pod": f"{busiest['n']}/{busiest['p']}",
        "workload": busiest["w"],
        "trace": one("SELECT trace_id AS t FROM flows WHERE trace_id <> '' ORDER BY time LIMIT 1 OFFSET 1000")["t"],
    }
    duckdb_connection = duckdb.connect()
    duckdb_connection.sql(f"SET threads = {os.cpu_count()}")
    session = chdb.session.Session()
    times = {}
    asked = questions(relay, known, end)
    peaks = {}
    largest = relay.memory_mib()
    for round_number in range(rounds):
        for name, weir, sql, since in asked:
            relay.forget_peak()
            resting = relay.memory_mib("VmRSS")
            runs = {
                "Weir": weir,
                "DuckDB": lambda: duck(files, sql, since, end)(duckdb_connection),
                "chDB": lambda: click(files, sql, since, end)(session),
            }
            for engine, ask in runs.items():
                if round_number == 0:
                    forget()
                times.setdefault((name, engine), []).append(timed(ask))
            peaks[name] = max(peaks.get(name, 0), relay.memory_mib() - resting)
            largest = max(largest, relay.memory_mib())
        print(f"round {round_number + 1} of {rounds}", file=sys.stderr)
    print("| question | Weir: first, best (ms) | DuckDB | chDB | DuckDB : Weir | chDB : Weir | Weir's memory, MiB | asked through |")
    print("|---|---|---|---|---|---|---|---|")
    for name, weir, _, _ in asked:
        cells = []
        best = {}
        for engine in ["Weir", "DuckDB", "chDB"]:
            first, *later = times[name, engine]
            best[engine] = min(later)
            cells.append(f"{first:.1f}, {best[engine]:.1f}")
        ratios = [f"{best[engine] / best['Weir']:.1f}" for engine in ["DuckDB", "chDB"]]
        door = "HTTP" if "get" in weir.__code__.co_names else "Flight SQL"
        print(f"| {name} | {' | '.join(cells)} | {' | '.join(ratios)} | {peaks[name]} | {door} |")
    print(f"\nmap of 24 hours from: {relay.get('/api/v1/map', since=iso(end - timedelta(days=1)), until=iso(end))['source']}")
    print(f"relay: at most {largest} MiB while it was asked, {relay.memory_mib('VmRSS')} MiB now; median of all Weir answers {statistics.median(t for (_, e), ts in times.items() if e == 'Weir' for t in ts):.1f} ms")


main()
