"""Runs in an application's host: writes a row every few hundredths of a second and notes what was acknowledged.

    write_agent.py CONNECTION NAME INTERVAL LOG

A line of the log is `ok NUMBER TIME SERVER`, or `lost NUMBER TIME WHY` when it is not known whether the row is there.
"""

from __future__ import annotations

import sys
import time

import psycopg2


def main(connection: str, name: str, interval: str, log: str) -> None:
    link, server, number, due = None, "", 0, time.time()
    with open(log, "a", buffering=1, encoding="utf-8") as out:
        while True:
            due = max(due + float(interval), time.time())
            time.sleep(max(0.0, due - time.time()))
            number += 1
            try:
                if link is None:
                    link = psycopg2.connect(connection)
                    link.autocommit = True
                    with link.cursor() as cursor:
                        cursor.execute("select host(inet_server_addr())")
                        server = cursor.fetchone()[0]
                with link.cursor() as cursor:
                    cursor.execute("insert into steady(writer, number) values (%s, %s)", (name, number))
                notices = " ".join(link.notices)
                if "synchronous replication" in notices:  # on this server only: no acknowledgement
                    raise psycopg2.OperationalError("not replicated")
                print("ok", number, time.time(), server, file=out)
            except psycopg2.Error as error:
                print("lost", number, time.time(), " ".join(str(error).split())[:120], file=out)
                if link is not None:
                    link.close()
                link = None


if __name__ == "__main__":
    main(*sys.argv[1:])
