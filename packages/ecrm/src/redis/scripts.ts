// What runs inside Redis. Every script first compares the fence: a value that says which run, set of servers, server and life
// of it the node's rows belong to, in which start of the node's process, and which owner and connection speaks for them. Whoever
// holds an older one changes nothing and reads nothing.
//
// A node's rows lie in blocks, one string each, allocated whole and filled with zeros. A record is a row with what follows it
// (see records.ts). KEYS begins with the fence and ends with the blocks that are touched; places are pairs of 32-bit
// little-endian words: the number of a block among KEYS, and where in it the record begins.
//
// What an owner must remember lies here too, written by the script that changes the rows (see notes.ts): an owner that takes
// the place of a dead one knows which updates count.

import { never } from './records.ts'

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

/**
 * KEYS: fence, notes of pushes, blocks. ARGV: fence, bytes of a record, places, records, field and text of the note, if there is one.
 * Replaces records and makes the note, all or none. Said again it changes nothing more.
 */
export const writeRecords = `${fenced}
local places, records = ARGV[3], ARGV[4]
local blocks, at, length = {}, {}, {}
for i = 1, #places / 8 do
  local block, from = struct.unpack('<I4I4', places, i * 8 - 7)
  blocks[i], at[i] = KEYS[block], from
  length[block] = length[block] or redis.call('STRLEN', KEYS[block])
  if from + bytes > length[block] then return redis.error_reply('FTBLOCK a block is not whole') end
end
if ARGV[5] then redis.call('HSET', KEYS[2], ARGV[5], ARGV[6]) end
for i = 1, #blocks do
  redis.call('SETRANGE', blocks[i], at[i], string.sub(records, (i - 1) * bytes + 1, i * bytes))
end
return redis.status_reply('OK')
`

/**
 * KEYS: fence, notes of differences, two scratch strings, blocks. ARGV: fence, bytes of a record, heads, differences of whole
 * records, field and text of the note. A head: place, where in the record the version is that the record contains of the changed
 * row (in bytes, from 1), the version that the difference begins at, and the one that it leads to. A record that contains the
 * latter already is left as it is; one that does not contain the former gets a version that no row has, as it is of no use to any
 * owner, and its number in the batch (from 0) is part of the answer, 32 bits each, whenever it is met again.
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
    if version > seen or seen == ${never} then
      stale[#stale + 1] = struct.pack('<I4', i - 1)
      record = string.sub(record, 1, tail - 1) .. struct.pack('<I4', ${never}) .. string.sub(record, tail + 4)
    end
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
redis.call('HSET', KEYS[2], ARGV[5], ARGV[6])
redis.call('SET', KEYS[3], table.concat(out))
redis.call('SET', KEYS[4], parts and table.concat(parts) or deltas)
redis.call('BITOP', 'XOR', KEYS[3], KEYS[3], KEYS[4])
local sums = redis.call('GET', KEYS[3])
for i = 1, #blocks do
  redis.call('SETRANGE', blocks[i], at[i], string.sub(sums, (i - 1) * bytes + 1, i * bytes))
end
redis.call('DEL', KEYS[3], KEYS[4])
return table.concat(stale)
`

/** KEYS: fence, notes. ARGV: fence, 0. Gives fields and texts in turn. */
export const readNotes = `${fenced}
return redis.call('HGETALL', KEYS[2])
`

/**
 * KEYS: fence, notes. ARGV: fence, 0, the life of the owner, a server; no server: the notes are of pushes. Takes away notes of earlier
 * owners, about that server, and those of their updates that this one made when it took over (pieces from 1): see notes.ts.
 */
export const forgetNotes = `${fenced}
local life, server = ARGV[3], ARGV[4]
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  local of, about, piece = string.match(field, '^(%d+)%.(%d+)%.(%d+)%.')
  if server == '' then of = string.match(field, '^(%d+)%.') end
  if (server == '' or about == server) and (of ~= life or (server ~= '' and piece ~= '0')) then
    redis.call('HDEL', KEYS[2], field)
  end
end
return redis.status_reply('OK')
`

/** KEYS: fence, what says that no row is missing. ARGV: fence, 0. */
export const markWhole = `${fenced}
redis.call('SET', KEYS[2], '1')
return redis.status_reply('OK')
`

/**
 * KEYS: owner, and for a part its fence and what else there may be of an earlier life of it. ARGV: number of the run, its name;
 * fence, the epoch and the owner's life in it. Takes the node, or a part of it, for a run, unless a later run, or another of the
 * same number, has it, or a later life of the part or of its owner.
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
if KEYS[2] then
  local epoch, life = string.match(redis.call('GET', KEYS[2]) or '', '^%d+ %S+ (%d+) %S+ (%d+) ')
  if epoch and (tonumber(epoch) > tonumber(ARGV[4]) or tonumber(life) > tonumber(ARGV[5])) then
    return redis.error_reply('FTFENCE a later owner has this part')
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])
if KEYS[2] then
  redis.call('SET', KEYS[2], ARGV[3])
  for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
end
return redis.status_reply('OK')
`

/**
 * KEYS: owner of the node, fence, what says that no row is missing. ARGV: the owner's value, the fence as far as it must be the same,
 * the fence, the life of the part's owner in it. Takes a part over from a dead owner as it is; whether no row was missing in it.
 */
export const adoptPart = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('FTOWNED a later run owns this node') end
local fence = redis.call('GET', KEYS[2]) or ''
if string.sub(fence, 1, #ARGV[2]) ~= ARGV[2] then return redis.error_reply('FTGONE these are not the rows of that life') end
local life = tonumber(string.match(string.sub(fence, #ARGV[2] + 1), '^(%d+) ') or '0')
if life >= tonumber(ARGV[4]) then return redis.error_reply('FTFENCE a later owner has this part') end
redis.call('SET', KEYS[2], ARGV[3])
return redis.call('GET', KEYS[3]) or ''
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
