-- Rows: read once, changed in memory, and written at the end, so that an error before that leaves everything as it was.
-- No key expires: an eviction that keeps to volatile keys drops nothing, and while Redis is down nothing is forgotten.

-- Accounts are a hash each; DUE has them by when each may be forgotten. Open reservations are one hash, LEASES has them by
-- when each runs out. GONE has the ids that have ended by when each may be forgotten, SWEPT what sweeps charged.
local OPEN, LEASES, GONE, SWEPT = PREFIX .. 'open', PREFIX .. 'leases', PREFIX .. 'gone', PREFIX .. 'swept'
local DUE, META, OWNERS, READY = PREFIX .. 'due', PREFIX .. 'meta', PREFIX .. 'owners', PREFIX .. 'ready'

local Rows = {}
local accounts, opens, gones = {}, {}, {}

local FIELDS = {'base', 'settled', 'over', 'held', 'escrowed', 'begin', 'end', 'bucket', 'based'}

function Rows.fresh_account()
  return {base = 0, settled = 0, over = 0, held = 0, escrowed = 0, begin = 0, ['end'] = NEVER, bucket = 0, based = 0,
    buckets = {}, was = {}, is_new = true}
end

function Rows.is_integer(value)
  return type(value) == 'number' and value % 1 == 0
end

function Rows.unpacked(text)
  local is_right, row = pcall(cmsgpack.unpack, text)
  return is_right and type(row) == 'table' and row or nil
end

function Rows.decoded_account(flat)
  local text = {}
  for i = 1, #flat, 2 do text[flat[i]] = flat[i + 1] end
  local account = {was = {}, buckets = {}}
  for _, field in ipairs(FIELDS) do
    local value = tonumber(text[field])
    if not Rows.is_integer(value) then return nil end
    account[field], account.was[field] = value, value
  end
  local limit = text.limit ~= 'none' and tonumber(text.limit) or nil
  if text.limit ~= 'none' and not Rows.is_integer(limit) then return nil end
  account.limit, account.was.limit = limit, limit or 'none'
  if text.buckets then
    local buckets = Rows.unpacked(text.buckets)
    if not buckets then return nil end
    for number, amount in pairs(buckets) do
      if not Rows.is_integer(number) or not Rows.is_integer(amount) then return nil end
    end
    account.buckets = buckets
  end
  return account
end

-- nil: its row cannot be read
function Rows.load_account(name)
  local account = accounts[name]
  if account == nil then
    local flat = redis.pcall('HGETALL', PREFIX .. 'a:' .. name)
    if flat.err then account = false
    elseif #flat == 0 then account = Rows.fresh_account()
    else account = Rows.decoded_account(flat) or false end
    accounts[name] = account
  end
  return account or nil
end

function Rows.is_reservation(row)
  if not row or type(row.owner) ~= 'string' or type(row.parts) ~= 'table' then return false end
  for _, part in ipairs(row.parts) do
    if type(part) ~= 'table' or type(part.account) ~= 'string' then return false end
    for _, field in ipairs({'held', 'observed', 'used', 'bucket'}) do
      if not Rows.is_integer(part[field]) then return false end
    end
  end
  return true
end

-- false: there is none; nil: it cannot be read
function Rows.load_open(id)
  local entry = opens[id]
  if not entry then
    local text = redis.call('HGET', OPEN, id)
    entry = {row = false}
    if text then
      local row = Rows.unpacked(text)
      entry.row = Rows.is_reservation(row) and row or nil
    end
    opens[id] = entry
  end
  return entry.row
end

-- As load_open; `swept` is false, or what each account was charged and in which bucket.
function Rows.load_gone(id)
  local entry = gones[id]
  if not entry then
    entry = {row = false}
    if redis.call('ZSCORE', GONE, id) then
      local text = redis.call('HGET', SWEPT, id)
      local swept = text and Rows.unpacked(text)
      entry.row = swept ~= nil and {swept = swept} or nil
      entry.was_swept = swept
    end
    gones[id] = entry
  end
  return entry.row
end

function Rows.put_open(id, row, expires)
  opens[id] = {row = row, is_changed = true, expires = expires}
end

function Rows.put_gone(id, kept, swept)
  local was_swept = gones[id] and gones[id].was_swept
  gones[id] = {row = {swept = swept or false}, is_changed = true, expires = now + kept, was_swept = was_swept}
end

function Rows.unreadable_account(lines)
  for _, line in ipairs(lines) do
    if not Rows.load_account(line.account) then return line.account end
  end
end

-- Everything that an operation touches is read before anything is changed, so that it is applied whole or not at all. The
-- name of what cannot be read; nil: all can.
function Rows.unreadable_row(id, lines)
  local opened = Rows.load_open(id)
  if opened == nil or not opened and Rows.load_gone(id) == nil then return id end
  return Rows.unreadable_account(lines) or opened and Rows.unreadable_account(opened.parts) or nil
end

function Rows.save_accounts()
  for name, account in pairs(accounts) do
    if account and account.is_changed then
      local changed, was = {}, account.was
      for _, field in ipairs(FIELDS) do
        if account[field] ~= was[field] then
          changed[#changed + 1], changed[#changed + 2] = field, account[field]
          was[field] = account[field]
        end
      end
      local limit = account.limit or 'none'
      if limit ~= was.limit then
        changed[#changed + 1], changed[#changed + 2] = 'limit', limit
        was.limit = limit
      end
      if account.has_turned then
        changed[#changed + 1], changed[#changed + 2] = 'buckets', cmsgpack.pack(account.buckets)
      end
      if #changed > 0 then redis.call('HSET', PREFIX .. 'a:' .. name, unpack(changed)) end
      if account.is_new then redis.call('ZADD', DUE, Account.due(account), name) end
      account.is_changed, account.is_new, account.has_turned = nil, nil, nil
    end
  end
end

function Rows.all(command, key, words)
  for first = 1, #words, 1000 do
    redis.call(command, key, unpack(words, first, math.min(first + 999, #words)))
  end
end

function Rows.save()
  Rows.save_accounts()
  local put, leased, removed, ended, swept, corrected = {}, {}, {}, {}, {}, {}
  for id, entry in pairs(opens) do
    if entry.is_changed and entry.row then
      put[#put + 1], put[#put + 2] = id, cmsgpack.pack(entry.row)
      leased[#leased + 1], leased[#leased + 2] = entry.expires, id
    elseif entry.is_changed then
      removed[#removed + 1] = id
    end
    entry.is_changed = nil
  end
  for id, entry in pairs(gones) do
    if entry.is_changed then
      ended[#ended + 1], ended[#ended + 2] = entry.expires, id
      if entry.row.swept then
        swept[#swept + 1], swept[#swept + 2] = id, cmsgpack.pack(entry.row.swept)
      elseif entry.was_swept then
        corrected[#corrected + 1] = id
      end
      entry.is_changed, entry.was_swept = nil, entry.row.swept
    end
  end
  Rows.all('HSET', OPEN, put)
  Rows.all('ZADD', LEASES, leased)
  Rows.all('HDEL', OPEN, removed)
  Rows.all('ZREM', LEASES, removed)
  Rows.all('ZADD', GONE, ended)
  Rows.all('HSET', SWEPT, swept)
  Rows.all('HDEL', SWEPT, corrected)
end
