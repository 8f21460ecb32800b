-- Records of before there was a gateway get the fields that it reads.
UPDATE records SET fields = json_set(fields, '$.pricing', NULL, '$.routing', NULL) WHERE kind = 'model';
UPDATE deleted SET fields = json_set(fields, '$.pricing', NULL, '$.routing', NULL) WHERE kind = 'model';
UPDATE revisions SET fields = json_set(fields, '$.pricing', NULL, '$.routing', NULL)
WHERE kind = 'model' AND fields IS NOT NULL;

UPDATE records SET fields = json_set(fields, '$.prompt.inference_params_as', NULL)
WHERE kind = 'model' AND json_type(fields, '$.prompt') = 'object';
UPDATE deleted SET fields = json_set(fields, '$.prompt.inference_params_as', NULL)
WHERE kind = 'model' AND json_type(fields, '$.prompt') = 'object';
UPDATE revisions SET fields = json_set(fields, '$.prompt.inference_params_as', NULL)
WHERE kind = 'model' AND json_type(fields, '$.prompt') = 'object';

UPDATE records SET fields = json_set(fields, '$.recording', NULL) WHERE kind = 'workspace';
UPDATE deleted SET fields = json_set(fields, '$.recording', NULL) WHERE kind = 'workspace';
UPDATE revisions SET fields = json_set(fields, '$.recording', NULL) WHERE kind = 'workspace' AND fields IS NOT NULL;
