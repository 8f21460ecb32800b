-- PATCH the paths of a file in turn, each time with another text and number, so that every request is a
-- real change.  arguments: FILE TAG (TAG differs from run to run)
local report = require("report")
local headers = { ["Content-Type"] = "application/json" }
local paths, tag, count = {}, "0", 0

function init(args)
  paths, tag = report.lines(args[1]), args[2]
end

function request()
  count = count + 1
  local body = string.format(
    '{"description":"Checkpoint %d of sweep %s, kept after the nightly evaluation against the held-out set.",'
      .. '"custom_fields":{"team":"search","stage":"candidate","sweep":"%s","step":%d,"score":%.4f}}',
    count, tag, tag, count, (count % 10000) / 10000)
  return wrk.format("PATCH", paths[count % #paths + 1], headers, body)
end

function done(summary, latency, requests)
  report.print(summary, latency)
end
