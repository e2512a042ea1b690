"""placeholder"""
def worker_lines(sound): return []
