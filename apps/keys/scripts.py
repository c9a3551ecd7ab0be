# SPDX-License-Identifier: Apache-2.0
"""The scripts that decide about money: admit and reserve, settle, register again. Each runs once, whole or not at all.

Times are seconds of the store's own clock. Amounts are whole micro-dollars as text. An open record is stored as
`<reserved>;<window start>,<window start>;<admitted at>|<JSON>`: its presence is the one right to settle, so settling
twice is nothing.
"""

# KEYS  1 counters flag, 2 open records, 3 open leases, 4 cached answer, 5 rates of the key, 6.. spend of each budget
# ARGV  1 epoch, 2 request id, 3 lease id, 4 open record, 5 micro-dollars to reserve, 6 requests per minute (0 = no limit),
#       7 requests at once (0 = no limit), 8 "1" to look for the cached answer, then per budget: limit (-1 = none), "1" if
#       hard, number of window starts, the starts
# Answers: {"unbuilt"} · {"rate", limit, seconds to wait} · {"parallel", limit} ·
#          {"budget", index, spent, held, limit, window end or 0, now} ·
#          {"hit", requests left or -1, answer} · {"ok", requests left or -1, now, then per budget: start, end or 0, spent, held}
ADMIT = """
local now = tonumber(redis.call('TIME')[1])
local argv, keys = ARGV, KEYS
local hard, p = false, 9
local budgets = {}
for i = 6, #keys do
  local limit, is_hard, starts = tonumber(argv[p]), argv[p + 1] == '1', tonumber(argv[p + 2])
  local start, finish = tonumber(argv[p + 3]), 0
  for j = 1, starts - 1 do
    local next_start = tonumber(argv[p + 3 + j])
    if next_start <= now then start = next_start elseif finish == 0 then finish = next_start end
  end
  budgets[#budgets + 1] = {limit, is_hard, start, finish, keys[i]}
  if is_hard and limit >= 0 then hard = true end
  p = p + 3 + starts
end
if redis.call('GET', keys[1]) ~= argv[1] and hard then return {'unbuilt'} end
local per_minute, at_once = tonumber(argv[6]), tonumber(argv[7])
local minute, second = math.floor(now / 60), now % 60
local current = tonumber(redis.call('HGET', keys[5], minute) or '0')
local left = -1
if per_minute > 0 then
  local before = tonumber(redis.call('HGET', keys[5], minute - 1) or '0')
  local used = before * (60 - second) / 60 + current
  if used + 1 > per_minute then
    local wait = 60 - second
    if current + 1 <= per_minute and before > 0 then
      wait = math.min(wait, math.ceil(60 - 60 * (per_minute - current - 1) / before) - second)
    elseif current > per_minute - 1 then
      wait = wait + math.ceil(60 - 60 * (per_minute - 1) / current)
    end
    return {'rate', tostring(per_minute), tostring(math.max(1, wait))}
  end
  left = math.floor(per_minute - used - 1)
end
local answer = false
if argv[8] == '1' then answer = redis.call('GET', keys[4]) end
if at_once > 0 and not answer then
  if tonumber(redis.call('HGET', keys[5], 'now') or '0') >= at_once then return {'parallel', tostring(at_once)} end
end
local reserve = tonumber(argv[5])
local out = {'ok', tostring(left), tostring(now)}
local windows = {}
for i, b in ipairs(budgets) do
  local spent = tonumber(redis.call('HGET', b[5], string.format('%.0f:spent', b[3])) or '0')
  local held = tonumber(redis.call('HGET', b[5], string.format('%.0f:held', b[3])) or '0')
  if b[2] and b[1] >= 0 then
    local short
    if answer then short = spent + held >= b[1] else short = spent + held + reserve > b[1] end
    if short then
      return {'budget', tostring(i - 1), string.format('%.0f', spent), string.format('%.0f', held),
              string.format('%.0f', b[1]), string.format('%.0f', b[4]), tostring(now)}
    end
  end
  windows[#windows + 1] = string.format('%.0f', b[3])
  for _, x in ipairs({b[3], b[4], spent, held}) do out[#out + 1] = string.format('%.0f', x) end
end
redis.call('HINCRBY', keys[5], minute, 1)
if current == 0 then
  for _, field in ipairs(redis.call('HKEYS', keys[5])) do
    if field ~= 'now' and tonumber(field) < minute - 1 then redis.call('HDEL', keys[5], field) end
  end
end
if answer then return {'hit', tostring(left), answer} end
redis.call('HINCRBY', keys[5], 'now', 1)
for i, b in ipairs(budgets) do
  redis.call('HINCRBY', b[5], windows[i] .. ':held', argv[5])
end
redis.call('HSET', keys[2], argv[2], argv[5] .. ';' .. table.concat(windows, ',') .. ';' .. now .. '|' .. argv[4])
redis.call('SADD', keys[3], argv[3])
return out
"""

# KEYS  1 open records, 2 rates of the key, 3 counters flag, 4 settled while counters are missing, 5.. spend of each
#       budget, in the order of the open record
# ARGV  1 request id, 2 micro-dollars to charge
# Answers 1 when this call settled the record, 0 when it was settled before.
SETTLE = """
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
local reserved, windows = string.match(value, '^(%d+);([%d,]*)')
local i = 5
for start in string.gmatch(windows, '[^,]+') do
  -- "-0" is no number to HINCRBY.
  if reserved ~= '0' then redis.call('HINCRBY', KEYS[i], start .. ':held', '-' .. reserved) end
  redis.call('HINCRBY', KEYS[i], start .. ':spent', ARGV[2])
  i = i + 1
end
if redis.call('HINCRBY', KEYS[2], 'now', -1) < 0 then redis.call('HSET', KEYS[2], 'now', 0) end
if redis.call('EXISTS', KEYS[3]) == 0 then redis.call('SADD', KEYS[4], ARGV[1]) end
return 1
"""

# KEYS  1 open records, 2 open leases, 3 rates of the key, 4 what the store was told of later, 5.. spend of each budget
# ARGV  1 request id, 2 lease id, 3 open record in its stored form, 4 reserved micro-dollars,
#       5 seconds to remember that it was told, then a window start per budget
# Answers 1 when the record was registered again, 0 when the store still had it.
REOPEN = """
redis.call('SADD', KEYS[4], ARGV[1])
redis.call('EXPIRE', KEYS[4], ARGV[5])
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[3]) == 0 then return 0 end
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('HINCRBY', KEYS[3], 'now', 1)
for i = 5, #KEYS do redis.call('HINCRBY', KEYS[i], ARGV[i + 1] .. ':held', ARGV[4]) end
return 1
"""
