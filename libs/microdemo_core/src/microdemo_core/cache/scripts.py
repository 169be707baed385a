"""What Redis does in one step. An entry is a lease, ``L<process>:<turn>``, or ``V<versions>``, newline, JSON."""

from typing import Final

__all__ = ("FILL", "LEASE", "stamp_of")

# KEYS: entry, namespaces…  ARGV: lease, its milliseconds, a fresh version, its seconds, the process.
# Answers {value, stamp} for a hit, {nil, stamp} to the new holder of the lease, {nil, nil} if another holds it.
# A namespace without a version gets a new one, so what an evicted version had made invalid stays so.
# A lease of the same process is taken over: its single-flight says that the holder has given up.
LEASE: Final = """
local versions = {}
for i = 2, #KEYS do
  local version = redis.call('GET', KEYS[i])
  if not version then
    version = ARGV[3]
    redis.call('SET', KEYS[i], version, 'EX', ARGV[4])
  end
  versions[i - 1] = version
end
local stamp = 'V' .. table.concat(versions, ',') .. '\\n'
local entry = redis.call('GET', KEYS[1])
if entry then
  if string.sub(entry, 1, #stamp) == stamp then
    return {entry, stamp}
  end
  local mine = 'L' .. ARGV[5]
  if string.sub(entry, 1, 1) == 'L' and string.sub(entry, 1, #mine) ~= mine then
    return {false, false}
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {false, stamp}
"""

# KEYS: entry  ARGV: lease, value, its milliseconds. A delete since the lease was taken has removed it.
FILL: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
"""


def stamp_of(versions: list[bytes | None]) -> bytes | None:
    """What a value begins with while these are its namespaces' versions; None if one has none yet."""
    if None in versions:
        return None
    return b"V" + b",".join(version for version in versions if version is not None) + b"\n"
