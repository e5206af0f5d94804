"""Container images as a source: archives, OCI layouts, engines, registries; every layer, configuration and annotation.

    blobs.py       where an image's files stand, readable in any order: a folder, a tar file
    documents.py   manifests, indexes and configurations: read without trust, bounded
    catalog.py     which layer belongs to which image, and which instruction made it
    texts.py       every string of a document as content
    layers.py      the files of one layer as content
    gitobjects.py  git's objects in a layer
    source.py      images that can be read in any order; stream.py: those that come by once
    remote.py      a registry's blobs; inspected.py: an engine's image that was seen before
    opening.py     what the person named -> one of both

What a cache is told: each part says by `notes.extra(LAYER, key, digest, share, shares)` that its share of a layer was
given whole and as its digest says (`shares` shares make the layer); `key` is that of its places, `digest` what
`seen(digest)` is asked for at the next scan: of the layer as it is stored, so that a lie in a configuration leads
nowhere. A layer that is seen is still hashed: bytes that are not what they say they are are not taken for clean.
"""
