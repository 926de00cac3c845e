-- What can be asked: the last part of the script. META holds `epoch`, made with the ledger; `run`, the run of this server
-- for which it is whole; `lost`, 'all' from the making of the epoch until the ledger is whole, then 'some'; `pending`, the
-- run for which it is being rebuilt; `waits`, until when workers that have lost it are waited for; and `since`, when it
-- became whole.

local Ledger = {}
local meta = {}

function Ledger.read_meta()
  local names = {'epoch', 'run', 'lost', 'pending', 'waits', 'since'}
  local values = redis.pcall('HMGET', META, unpack(names))
  if values.err then return false end
  for i, name in ipairs(names) do meta[name] = values[i] or nil end
  return true
end

function Ledger.write_meta(changes)
  for name, value in pairs(changes) do
    redis.call('HSET', META, name, value)
    meta[name] = value
  end
end

-- Asked before anything is changed, so that a key of the wrong type cannot stop a batch in its middle.
function Ledger.has_right_types()
  for key, command in pairs({[OPEN] = 'HLEN', [LEASES] = 'ZCARD', [GONE] = 'ZCARD', [SWEPT] = 'HLEN', [DUE] = 'ZCARD'}) do
    if type(redis.pcall(command, key)) == 'table' then return false end
  end
  return true
end

function Ledger.state()
  if not Ledger.read_meta() or not Ledger.has_right_types() then return 'corrupt' end
  if not meta.epoch or request.epoch ~= '' and request.epoch ~= meta.epoch then return 'flushed' end
  if meta.run ~= server then return meta.lost == 'all' and 'flushed' or 'restarted' end
  if request.run ~= '' and request.run ~= meta.run then return 'restarted' end
  return 'whole'
end

function Ledger.apply_all()
  local outcomes = {}
  for i, each in ipairs(request.operations) do
    local kind, asked = each[1], each[2]
    local lines = asked.lines or {asked.line}
    local unreadable = kind ~= 'Sweep' and Rows.unreadable_row(asked.id, lines)
    outcomes[i] = unreadable and {CORRUPT, {}, {}, {}, unreadable} or apply[kind](asked)
  end
  Rows.save()
  return outcomes
end

-- Not soon after a rebuild: what comes late has to be recognised.
function Ledger.forget_ids()
  if now < meta.since + KEPT then return end
  local most = 2 * #request.operations + 16
  local ids = redis.call('ZRANGEBYSCORE', GONE, '-inf', now, 'LIMIT', 0, most)
  if #ids == 0 then return end
  redis.call('ZREM', GONE, unpack(ids))
  redis.call('HDEL', SWEPT, unpack(ids))
end

function Ledger.begin_rebuilding()
  if not meta.epoch then
    local waits = request.is_new and 0 or now + GATHERING
    Ledger.write_meta({epoch = request.new_epoch, lost = 'all', pending = server, waits = waits})
  elseif meta.run ~= server and meta.pending ~= server then
    for _, owner in ipairs(redis.call('ZRANGE', OWNERS, 0, -1)) do redis.call('ZADD', OWNERS, now, owner) end
    Ledger.write_meta({pending = server, waits = 0})
  else
    return
  end
  redis.call('DEL', READY)
end

function Ledger.raise_bases()
  for _, seen in ipairs(request.balances) do
    if Rows.load_account(seen.account) then
      local account = Book.entered(seen)
      account.base = math.max(account.base, seen.base + seen.settled + seen.over)
      account.based = Account.bucket_of(seen.bucket)
      Book.touch(account)
    end
  end
end

function Ledger.are_all_ready()
  if now < tonumber(meta.waits) then return false end
  for _, owner in ipairs(redis.call('ZRANGEBYSCORE', OWNERS, now - OWNERS_KEPT, '+inf')) do
    if redis.call('HGET', READY, owner) ~= server then return false end
  end
  return true
end

local ask = {}

function ask.apply()
  local found = Ledger.state()
  if found ~= 'whole' then return {found, meta.epoch or '', server, now, {}} end
  local outcomes = Ledger.apply_all()
  Ledger.forget_ids()
  return {found, meta.epoch, server, now, outcomes}
end

function ask.announce()
  redis.call('ZADD', OWNERS, now, request.owner)
  redis.call('ZREMRANGEBYSCORE', OWNERS, '-inf', now - OWNERS_KEPT)
  return {Ledger.state(), meta.epoch or '', server, now, {}}
end

function ask.restore()
  if Ledger.state() == 'corrupt' then return {'corrupt', '', server, now, {}} end
  Ledger.begin_rebuilding()
  redis.call('ZADD', OWNERS, now, request.owner)
  local is_another = request.epoch ~= '' and request.epoch ~= meta.epoch
  if is_another or meta.run ~= server and meta.lost == 'all' then Ledger.raise_bases() end
  Ledger.apply_all()
  if request.is_last and (request.told == '' or request.told == server) then
    redis.call('HSET', READY, request.owner, server)
  end
  if meta.run ~= server and Ledger.are_all_ready() then Ledger.write_meta({run = server, lost = 'some', since = now}) end
  return {meta.run == server and 'whole' or 'restarted', meta.epoch, server, now, {}}
end

function ask.balances()
  local page, rows = redis.call('ZSCAN', DUE, request.after, 'COUNT', PAGE), {}
  for i = 1, #page[2], 2 do
    local name = page[2][i]
    local account = Rows.load_account(name)
    if account then
      Account.leave(account)
      rows[#rows + 1] = {name, account.limit or false, account.settled, account.over, account.held, account.escrowed,
        account.begin, account['end'], account.bucket, account.base}
    end
  end
  return {page[1], rows}
end

function ask.open()
  local page, rows = redis.call('HSCAN', OPEN, request.after, 'COUNT', PAGE), {}
  for i = 1, #page[2], 2 do
    local row = Rows.unpacked(page[2][i + 1])
    if Rows.is_reservation(row) then rows[#rows + 1] = {page[2][i], row.owner} end
  end
  return {page[1], rows}
end

return cmsgpack.pack(ask[request.ask]())
