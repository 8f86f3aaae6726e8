-- Rows of one view, each written only if it is not older than what its entity has, one after the other, each whole.
--
-- KEYS: the entities' hashes, rows of a chunk.
-- ARGV: mode; name of the time field; name of the version field; n; names of n feature fields; then for each key its
-- version, its time and, in mode "put", n values.
--
-- A version is the state (v: values, g: gone, t: taken down), then event time and computed_at in microseconds, eight
-- bytes each, most significant first. What is stored is followed by the time field as it was written: where that has
-- changed since, plain Feast has written the row.
--
-- Modes: "put" writes values; "gone" and "take" remove them and leave the times, so that nothing older comes back; what
-- was taken down yields to nothing but "give", which removes every trace.
--
-- Returns a letter for each key. w: written. s: not written, what is stored is newer. t: not written, taken down.

local mode, time_field, version_field, n = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local width = mode == 'put' and n + 2 or 2

-- Microseconds of a google.protobuf.Timestamp: varints of seconds (field 1) and nanoseconds (field 2).
local function micros(message)
  local at, parts = 1, {[8] = 0, [16] = 0}
  while at <= #message do
    local tag, value, scale = string.byte(message, at), 0, 1
    repeat
      at = at + 1
      local byte = string.byte(message, at)
      value = value + byte % 128 * scale
      scale = scale * 128
    until byte < 128
    parts[tag] = value < 2 ^ 63 and value or value - 2 ^ 64
    at = at + 1
  end
  return parts[8] * 1000000 + math.floor(parts[16] / 1000)
end

local known, known_event, known_computed
local function times(version)
  if version ~= known then
    known, known_event, known_computed = version, struct.unpack('>i8i8', version, 2)
  end
  return known_event, known_computed
end

-- State, event time and computed_at of what is stored.
local function stored(time, version)
  if version and string.sub(version, 18) == time then
    return string.sub(version, 1, 1), struct.unpack('>i8i8', version, 2)
  end
  return 'v', micros(time), -1
end

local features = {}
for i = 1, n do features[i] = ARGV[4 + i] end
local row = {time_field, '', version_field, ''}
if mode == 'put' then
  for i = 1, n do row[3 + 2 * i] = features[i] end
end

local said = {}
for i, key in ipairs(KEYS) do
  local first = 4 + n + (i - 1) * width
  local version, time = ARGV[first + 1], ARGV[first + 2]
  local had = redis.call('HMGET', key, time_field, version_field)
  local outcome = 'w'
  if had[1] then
    local state, event, computed = stored(had[1], had[2])
    local new_event, new_computed = times(version)
    if mode == 'give' then
      outcome = state == 't' and 'w' or 's'
    elseif state == 't' and mode ~= 'take' then
      outcome = 't'
    elseif mode ~= 'take' and (new_event < event or (new_event == event and new_computed < computed)) then
      outcome = 's'
    end
  elseif mode == 'give' then
    outcome = 's'
  end
  if outcome == 'w' then
    if mode == 'give' then
      redis.call('HDEL', key, time_field, version_field, unpack(features))
    else
      row[2], row[4] = time, version .. time
      if mode == 'put' then
        for j = 1, n do row[4 + 2 * j] = ARGV[first + 2 + j] end
      elseif had[1] then
        redis.call('HDEL', key, unpack(features))
      end
      redis.call('HSET', key, unpack(row))
    end
  end
  said[i] = outcome
end
return table.concat(said)
