"""The one script that runs inside Redis: each turn of each process is one call of it, and so one round trip.

Everything is reckoned by the clock of Redis, in milliseconds: the processes send how long ago, or how long from now.
A bucket is a hash of cells: what was taken between ``cell * width`` and the cell after it, counted until a period after
the cell's end. A lease is entered at the end of its life, the latest that any of it can be used.
"""

from __future__ import annotations

__all__ = ["CELLS", "SCRIPT"]

CELLS = 120
"""Cells that a period has."""

SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local ask = cjson.decode(ARGV[1])
local out = {buckets = {}, ejected = {}, disabled = {}}

local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = ask.new
  redis.call('SET', KEYS[1], epoch)
end
out.epoch = epoch
local known = ask.epoch == '' or ask.epoch == epoch

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if ask.leave then
  redis.call('ZREM', KEYS[2], ask.me)
else
  redis.call('ZADD', KEYS[2], now + ask.alive, ask.me)
end
redis.call('PEXPIRE', KEYS[2], ask.alive * 4)
local peers = redis.call('ZCARD', KEYS[2])
out.peers = peers

local function hint(key, news, list)
  for _, item in ipairs(news) do
    local id, left, reason = item[1], item[2], item[3]
    if left <= 0 then
      redis.call('HDEL', key, id)
    elseif redis.call('HEXISTS', key, id) == 1 or redis.call('HLEN', key) < ask.most then
      local old = redis.call('HGET', key, id)
      local old_until = old and tonumber(string.match(old, '^%d+')) or 0
      if now + left > old_until then
        redis.call('HSET', key, id, string.format('%d %s', now + left, reason or ''))
      end
    end
  end
  local flat = redis.call('HGETALL', key)
  local longest = 0
  for i = 1, #flat, 2 do
    local till, reason = string.match(flat[i + 1], '^(%d+) (.*)$')
    local left = (tonumber(till) or 0) - now
    if left <= 0 then
      redis.call('HDEL', key, flat[i])
    else
      longest = math.max(longest, left)
      list[#list + 1] = {flat[i], left, reason}
    end
  end
  if longest > 0 then
    redis.call('PEXPIRE', key, longest)
  end
end
hint(KEYS[3], ask.ejected, out.ejected)
hint(KEYS[4], ask.disabled, out.disabled)

local function turn(key, b)
  local width, cells, changed, total = b.width, {}, {}, 0
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local cell, amount = tonumber(flat[i]), tonumber(flat[i + 1])
    if (cell + 1) * width + b.period <= now or cell * width > now + b.life + 2 * width or amount <= 0 then
      redis.call('HDEL', key, flat[i])
    else
      cells[cell] = amount
      total = total + amount
    end
  end
  local function add(cell, amount)
    if (cell + 1) * width + b.period > now then
      cells[cell] = (cells[cell] or 0) + amount
      changed[cell] = true
      total = total + amount
    end
  end
  local function take_back(cell, amount)
    local back = math.min(cells[cell] or 0, amount)
    if back > 0 then
      add(cell, -back)
    end
    return amount - back
  end
  if known then
    for _, item in ipairs(b.used) do
      add(math.floor((now - item[1]) / width), item[2])
    end
    for _, item in ipairs(b.unused) do
      take_back(item[1], item[2])
    end
    for _, item in ipairs(b.refunds) do
      local left = item[2]
      local first = math.floor((now - item[1]) / width)
      for cell = first, first + math.ceil(b.life / width) + 1 do
        left = take_back(cell, left)
      end
    end
  end

  local granted, wait = 0, 0
  local lease = math.floor((now + b.life) / width)
  local order = {}
  for cell in pairs(cells) do
    order[#order + 1] = cell
  end
  table.sort(order)
  if b.want > 0 and known then
    local free = b.limit * (1 + 1e-9) - total
    if free >= b.least then
      granted = math.min(b.want, math.max(b.least, free / math.min(peers, 4)))
      if #order == 0 or order[#order] < lease then
        order[#order + 1] = lease
      end
      add(lease, granted)
    else
      for _, cell in ipairs(order) do
        free = free + cells[cell]
        if free >= b.least then
          wait = (cell + 1) * width + b.period - now
          break
        end
      end
    end
  end

  local any = false
  for cell in pairs(changed) do
    any = true
    redis.call('HSET', key, cell, string.format('%.17g', cells[cell]))
  end
  if any then
    redis.call('PEXPIRE', key, b.period + b.life + 2 * width)
  end

  local groups, group, last = {}, nil, nil
  for _, cell in ipairs(order) do
    local number = math.floor(cell / 10)
    if number ~= last then
      group = {0, 0}
      groups[#groups + 1] = group
      last = number
    end
    group[1] = (cell + 1) * width - now
    group[2] = group[2] + (cells[cell] or 0)
  end
  return {granted, lease, wait, groups}
end

for i, b in ipairs(ask.buckets) do
  out.buckets[i] = turn(KEYS[4 + i], b)
end
return cjson.encode(out)
"""
"""Takes KEYS epoch, peers, ejected, disabled, and one for each bucket; ARGV one JSON document; answers with another."""
