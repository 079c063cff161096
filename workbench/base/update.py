"""later"""
def update(lock): raise SystemExit(9)
