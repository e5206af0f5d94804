"""The daemon: keeps the rotation table without anybody remembering.

    timetable.py  configuration and providers -> the rule of each secret, refused where it cannot be kept
    cron.py       cron expressions             keeper.py   one round: look, do what is needed, tell
    told.py       who was told what            nightly.py  the list of nightly checks
    lead.py       one daemon per store and host: a lease; the others stand by
    process.py    the process: wake-ups, signals, reload    web.py, metrics.py, logs.py, sdnotify.py: how it is seen

What is needed is decided in model/need.py from the store's state, at every round. A lost wake-up loses nothing.
"""
