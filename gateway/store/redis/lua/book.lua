-- The operations, as gateway/core/ledger/book.py has them. What they answer, ledger.py reads.

local GRANTED, REFUSED, STALE, SETTLED, ENDED, SWEPT_UP, CORRUPT = 0, 1, 2, 3, 4, 5, 6

local Book = {}

function Book.entered(line)
  local account = accounts[line.account]
  Account.enter(account, line)
  return account
end

function Book.touch(account) account.is_changed = true end

function Book.granted(opened)
  local sums, holds = {}, {}
  for i, part in ipairs(opened.parts) do
    local account = accounts[part.account]
    Account.leave(account)
    sums[i], holds[i] = Account.spent(account), account.held
  end
  return {GRANTED, sums, holds}
end

function Book.is_stale(lines)
  for _, line in ipairs(lines) do
    if now < line.begin or now >= line['end'] then return true end
  end
  return false
end

function Book.refusal(lines, wanted)
  local fits = true
  for i, line in ipairs(lines) do
    fits = fits and (wanted[i] <= 0 or wanted[i] <= Account.left(accounts[line.account]))
  end
  if fits then return nil end
  local rest, times = {}, {}
  for i, line in ipairs(lines) do
    rest[i], times[i] = Account.left(accounts[line.account]), Account.fits_at(accounts[line.account], wanted[i])
  end
  return {REFUSED, rest, times}
end

function Book.take(account, part, amount, is_slice)
  local within = math.min(amount, part.held)
  part.held = part.held - within
  Account.hold(account, -within, is_slice)
  Account.add(account, within, 0, part.bucket)
  Account.charge(account, amount - within, part.bucket)
  Book.touch(account)
  return amount - within
end

function Book.finish(account, part, amount, is_slice)
  local over = Book.take(account, part, amount, is_slice)
  Account.hold(account, -part.held, is_slice)
  part.held = 0
  return over
end

local apply = {}

function apply.Reserve(asked)
  local opened = Rows.load_open(asked.id)
  if opened then return Book.granted(opened) end
  if Rows.load_gone(asked.id) then return {ENDED} end
  if Book.is_stale(asked.lines) then return {STALE} end
  local wanted, parts = {}, {}
  for i, line in ipairs(asked.lines) do
    Book.entered(line)
    wanted[i] = line.amount
  end
  local refused = Book.refusal(asked.lines, wanted)
  if refused then return refused end
  for i, line in ipairs(asked.lines) do
    local account = accounts[line.account]
    Account.hold(account, line.amount, false)
    Book.touch(account)
    parts[i] = {account = line.account, held = line.amount, observed = line.observed, used = 0,
      bucket = Account.bucket_of(line.bucket)}
  end
  opened = {owner = asked.owner, is_slice = false, parts = parts}
  Rows.put_open(asked.id, opened, now + asked.lease)
  return Book.granted(opened)
end

function apply.Renew(asked)
  local opened = Rows.load_open(asked.id)
  if not opened or opened.is_slice then return {ENDED} end
  local wanted = {}
  for i, line in ipairs(asked.lines) do
    local part = opened.parts[i]
    part.observed = math.max(part.observed, line.observed)
    Book.entered(line)
    wanted[i] = math.max(0, line.amount - part.held)
  end
  local refused = Book.refusal(asked.lines, wanted)
  if not refused then
    for i, line in ipairs(asked.lines) do
      Account.hold(accounts[line.account], wanted[i], false)
      opened.parts[i].held = opened.parts[i].held + wanted[i]
      Book.touch(accounts[line.account])
    end
  end
  Rows.put_open(asked.id, opened, now + asked.lease)
  return refused or Book.granted(opened)
end

function apply.Draw(asked)
  local line = asked.line
  local opened = Rows.load_open(asked.id)
  if not opened then
    if Rows.load_gone(asked.id) then return {ENDED} end
    local part = {account = line.account, held = 0, observed = 0, used = 0, bucket = 0}
    opened = {owner = asked.owner, is_slice = true, parts = {part}}
  end
  local part = opened.parts[1]
  if not opened.is_slice or part.account ~= line.account then return {ENDED} end
  local account = Book.entered(line)
  part.bucket = Account.bucket_of(line.bucket)
  local newly = math.max(0, line.used - part.used)
  Book.take(account, part, newly, true)
  part.used = part.used + newly
  part.observed = math.max(0, line.observed)
  local has_passed = Book.is_stale({line})
  local target = has_passed and math.min(part.held, line.amount) or line.amount
  local change = math.min(target - part.held, Account.left(account))
  part.held = part.held + change
  Account.hold(account, change, true)
  Rows.put_open(asked.id, opened, now + asked.lease)
  if has_passed then return {STALE} end
  return {GRANTED, {Account.spent(account)}, {part.held, account.held}}
end

function apply.Settle(asked)
  local opened = Rows.load_open(asked.id)
  local gone = not opened and Rows.load_gone(asked.id)
  if gone and not gone.swept then return {ENDED} end
  local swept, over, parts, named = gone and gone.swept or {}, 0, {}, {}
  for _, part in ipairs(opened and opened.parts or {}) do parts[part.account] = part end
  for _, line in ipairs(asked.lines) do
    local account, part = Book.entered(line), parts[line.account]
    named[line.account] = true
    if part then
      over = over + Book.finish(account, part, math.max(0, line.amount - part.used), opened.is_slice)
    else
      local before = swept[line.account] or {0, Account.bucket_of(line.bucket)}
      Account.charge(account, line.amount - before[1], before[2])
      Book.touch(account)
    end
  end
  for _, part in ipairs(opened and opened.parts or {}) do
    if not named[part.account] then Book.finish(accounts[part.account], part, 0, opened.is_slice) end
  end
  if opened then Rows.put_open(asked.id, false) end
  Rows.put_gone(asked.id, KEPT)
  return {SETTLED, {over}}
end

function apply.Once(asked)
  if Rows.load_gone(asked.id) then return {ENDED} end
  Rows.put_gone(asked.id, ONCE_KEPT)
  return {SETTLED, {0}}
end

function Book.forget()
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, ACCOUNTS_FORGOTTEN)) do
    local account = Rows.load_account(name)
    local when = account and Account.due(account) or now + ACCOUNTS_KEPT
    if when <= now then
      redis.call('DEL', PREFIX .. 'a:' .. name)
      redis.call('ZREM', DUE, name)
      accounts[name] = nil
    else
      redis.call('ZADD', DUE, when, name)
    end
  end
end

function apply.Sweep(asked)
  Rows.save()
  local owners = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, asked.most)) do
    local opened = Rows.load_open(id)
    if opened == false then
      redis.call('ZREM', LEASES, id)
    elseif not opened or Rows.unreadable_account(opened.parts) then
      redis.call('ZADD', LEASES, now + POSTPONED, id)
    else
      owners[#owners + 1] = {id, opened.owner}
      local swept = {}
      for _, part in ipairs(opened.parts) do
        local amount = math.min(part.held, part.observed)
        swept[part.account] = {part.used + amount, part.bucket}
        Book.finish(accounts[part.account], part, amount, opened.is_slice)
      end
      Rows.put_open(id, false)
      Rows.put_gone(id, ORPHANS_KEPT, swept)
    end
  end
  Rows.save()
  Book.forget()
  return {SWEPT_UP, {}, {}, owners}
end
