"""A git repository as something to scan: every object in its database, read by our own reader of packs, loose objects
and the repository's own files. Git itself is run only for what cannot be done cheaper here (clients/git.py says how).

    layout    where a repository's parts are        packs, delta, loose   the reader
    shares    a pack's delta trees -> equal shares  walk                  a share, base before delta
    trees, messages, folder    what is no blob       source                the `Source`
    narrow, staged             less than everything  locate                where a finding can be reached from
    graph                      what reaches what     brought               which commit brought an object
"""
