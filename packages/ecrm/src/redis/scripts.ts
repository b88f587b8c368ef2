// What runs inside Redis. Every script first compares the fence: a value that says which run, set of servers, server and life
// of it the node's rows belong to. Whoever holds an older one changes nothing and reads nothing.
//
// A node's rows lie in blocks, one string each, allocated whole and filled with zeros. A record is a row with what follows it
// (see records.ts). KEYS begins with the fence and ends with the blocks that are touched; places are pairs of 32-bit
// little-endian words: the number of a block among KEYS, and where in it the record begins.

const fenced = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('FTFENCE the fence is not this one') end
local bytes = tonumber(ARGV[2])
`

/** ARGV: fence, bytes of a record, places. Gives the records, one after the other. */
export const readRecords = `${fenced}
local places, out = ARGV[3], {}
for i = 1, #places / 8 do
  local block, at = struct.unpack('<I4I4', places, i * 8 - 7)
  local record = redis.call('GETRANGE', KEYS[block], at, at + bytes - 1)
  if #record ~= bytes then return redis.error_reply('FTBLOCK a block is not whole') end
  out[i] = record
end
return table.concat(out)
`

/** ARGV: fence, bytes of a record, places, records. Replaces records, all or none. Said again it changes nothing more. */
export const writeRecords = `${fenced}
local places, records = ARGV[3], ARGV[4]
local blocks, at, length = {}, {}, {}
for i = 1, #places / 8 do
  local block, from = struct.unpack('<I4I4', places, i * 8 - 7)
  blocks[i], at[i] = KEYS[block], from
  length[block] = length[block] or redis.call('STRLEN', KEYS[block])
  if from + bytes > length[block] then return redis.error_reply('FTBLOCK a block is not whole') end
end
for i = 1, #blocks do
  redis.call('SETRANGE', blocks[i], at[i], string.sub(records, (i - 1) * bytes + 1, i * bytes))
end
return redis.status_reply('OK')
`

/**
 * KEYS: fence, two scratch strings, blocks. ARGV: fence, bytes of a record, heads, differences of whole records. A head: place,
 * where in the record the version is that the record contains of the changed row (in bytes, from 1), the version that the
 * difference begins at, and the one that it leads to. A record that contains the latter already is left as it is; one that does
 * not contain the former is left too, and its number in the batch (from 0) is part of the answer, 32 bits each.
 */
export const addDifferences = `${fenced}
local heads, deltas = ARGV[3], ARGV[4]
local blocks, at, out, parts, stale = {}, {}, {}, nil, {}
for i = 1, #heads / 20 do
  local block, from, tail, base, version = struct.unpack('<I4I4I4I4I4', heads, i * 20 - 19)
  local record = redis.call('GETRANGE', KEYS[block], from, from + bytes - 1)
  if #record ~= bytes then return redis.error_reply('FTBLOCK a block is not whole') end
  local seen = struct.unpack('<I4', record, tail)
  if seen ~= base or version <= seen then
    if version > seen then stale[#stale + 1] = struct.pack('<I4', i - 1) end
    if not parts then
      parts = {}
      for j = 1, i - 1 do parts[j] = string.sub(deltas, (j - 1) * bytes + 1, j * bytes) end
    end
    parts[i] = string.rep('\\0', bytes)
  elseif parts then
    parts[i] = string.sub(deltas, (i - 1) * bytes + 1, i * bytes)
  end
  blocks[i], at[i], out[i] = KEYS[block], from, record
end
redis.call('SET', KEYS[2], table.concat(out))
redis.call('SET', KEYS[3], parts and table.concat(parts) or deltas)
redis.call('BITOP', 'XOR', KEYS[2], KEYS[2], KEYS[3])
local sums = redis.call('GET', KEYS[2])
for i = 1, #blocks do
  redis.call('SETRANGE', blocks[i], at[i], string.sub(sums, (i - 1) * bytes + 1, i * bytes))
end
redis.call('DEL', KEYS[2], KEYS[3])
return table.concat(stale)
`

/**
 * KEYS: owner, and the fence of a part when there is one. ARGV: number of the run, its name, fence. Takes the node, or a part of
 * it, for a run, unless a later run, or another of the same number, has it.
 */
export const takeNode = `
local owner = redis.call('GET', KEYS[1])
if owner then
  local number, run = string.match(owner, '^(%d+) (.*)$')
  number = tonumber(number) or 0
  local mine = tonumber(ARGV[1])
  if number > mine or (number == mine and run ~= ARGV[2]) then
    return redis.error_reply('FTOWNED a later run owns this node')
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])
if KEYS[2] then redis.call('SET', KEYS[2], ARGV[3]) end
return redis.status_reply('OK')
`

/** KEYS: fence. ARGV: what it is, what it becomes: after a new connection, so that nothing said on the old one counts. */
export const renewFence = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('FTFENCE the fence is not this one') end
redis.call('SET', KEYS[1], ARGV[2])
return redis.status_reply('OK')
`

/** KEYS: fence, blocks. ARGV: fence, bytes of each block. Allocates blocks of zeros. */
export const allocateBlocks = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('FTFENCE the fence is not this one') end
for i = 2, #KEYS do
  redis.call('DEL', KEYS[i])
  redis.call('SETRANGE', KEYS[i], tonumber(ARGV[i]) - 1, '\\0')
end
return redis.status_reply('OK')
`

/** KEYS: owner. ARGV: what it must be. Gives the node up, unless it is another's. */
export const releaseNode = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return redis.status_reply('OK')
`
