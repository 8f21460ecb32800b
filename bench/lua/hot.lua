-- PATCH one path with another field each time: what many jobs do that report on the same model.
-- arguments: FILE (one line) TAG
local report = require("report")
local headers = { ["Content-Type"] = "application/json" }
local path, tag, count = "", "0", 0

local fields = {
  '{"description":"Report %s-%d"}',
  '{"custom_fields":{"sweep":"%s","step":%d}}',
  '{"ownership":{"team":"search","ticket":"%s-%d"}}',
  '{"base_model":"default/base-%s-%d"}',
  '{"model_providers":["default/provider-%s-%d"]}',
  '{"api_endpoint":{"url":"http://127.0.0.1:9/%s","model_id":"served-%d","format":"openai"}}',
}

function init(args)
  path, tag = report.lines(args[1])[1], args[2]
end

function request()
  count = count + 1
  return wrk.format("PATCH", path, headers, string.format(fields[count % #fields + 1], tag, count))
end

function done(summary, latency, requests)
  report.print(summary, latency)
end
