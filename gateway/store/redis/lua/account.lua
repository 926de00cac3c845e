-- One account, as gateway/core/ledger/account.py has it. Amounts are integers below 2^53, which Lua's doubles, Redis and
-- msgpack keep exactly.

local Account = {}

function Account.spent(account) return account.base + account.settled + account.over end

function Account.left(account)
  if not account.limit then return NEVER end
  return math.max(0, account.limit - Account.spent(account) - account.held)
end

function Account.bucket_of(size)
  return size > 0 and math.floor(now / size) or 0
end

function Account.left_at(number, size) return (number + BUCKETS + 1) * size end

function Account.lessen(account, amount)
  local over = math.min(amount, account.over)
  account.over = account.over - over
  account.settled = account.settled - (amount - over)
end

function Account.leave(account)
  if account.bucket == 0 then return end
  local oldest = Account.bucket_of(account.bucket) - BUCKETS
  for number, amount in pairs(account.buckets) do
    if number < oldest then
      account.buckets[number], account.has_turned = nil, true
      Account.lessen(account, amount)
    end
  end
  if account.based < oldest then account.base = 0 end
end

function Account.enter(account, line)
  account.limit = line.limit
  account.begin, account['end'], account.bucket = line.begin, line['end'], line.bucket
  Account.leave(account)
end

function Account.hold(account, amount, is_slice)
  account.held = math.max(0, account.held + amount)
  if is_slice then account.escrowed = math.max(0, account.escrowed + amount) end
end

function Account.add(account, settled, over, bucket)
  if account.bucket > 0 and settled + over ~= 0 then
    account.buckets[bucket], account.has_turned = (account.buckets[bucket] or 0) + settled + over, true
  end
  account.settled = account.settled + settled
  account.over = account.over + over
end

function Account.charge(account, amount, bucket)
  if amount >= 0 then
    local within = math.min(amount, Account.left(account))
    Account.add(account, within, amount - within, bucket)
    return
  end
  local is_rolling = account.bucket > 0
  local there = is_rolling and (account.buckets[bucket] or 0) or not is_rolling and account.settled + account.over
  local less = math.min(-amount, there)
  if less > 0 and is_rolling then
    account.buckets[bucket], account.has_turned = account.buckets[bucket] - less, true
  end
  Account.lessen(account, less)
end

function Account.fits_at(account, more)
  if more <= Account.left(account) then return now end
  if not account.limit or more > account.limit then return NEVER end
  if account.bucket == 0 then return Account.spent(account) ~= 0 and account['end'] or NEVER end
  local missing = more - (account.limit - Account.spent(account) - account.held)
  local leaving, numbers = {[account.based] = account.base}, {}
  for number, amount in pairs(account.buckets) do leaving[number] = (leaving[number] or 0) + amount end
  for number in pairs(leaving) do numbers[#numbers + 1] = number end
  table.sort(numbers)
  for _, number in ipairs(numbers) do
    missing = missing - leaving[number]
    if missing <= 0 then return Account.left_at(number, account.bucket) end
  end
  return NEVER
end

function Account.due(account)
  if account.held ~= 0 then return now + ACCOUNTS_KEPT end
  if account.bucket > 0 then
    local last = account.base ~= 0 and account.based or nil
    for number in pairs(account.buckets) do last = math.max(last or number, number) end
    return last and Account.left_at(last, account.bucket) or now
  end
  if account['end'] == NEVER then return Account.spent(account) ~= 0 and now + ACCOUNTS_KEPT or now end
  return account['end'] + ACCOUNTS_KEPT
end
