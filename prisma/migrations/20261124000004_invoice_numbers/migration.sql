-- What the generated numbers of invoices count with. It waits for nobody and is not rolled back, so that no number
-- is given twice; an invoice that is not written after all leaves a gap.
CREATE SEQUENCE IF NOT EXISTS "Invoice_number_seq";
