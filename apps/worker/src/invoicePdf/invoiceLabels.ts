/** Our own words on an invoice. Names in braces are places for its values. */
export interface InvoiceLabels {
  /** With {number}. */
  heading: string
  number: string
  issuedOn: string
  dueOn: string
  email: string
  taxId: string
  customerTaxId: string
  position: string
  description: string
  quantity: string
  unitPrice: string
  tax: string
  /** With {currency}: the figures of the table have no sign. */
  net: string
  netSum: string
  /** With {rate} and {net}. */
  taxSum: string
  total: string
  payment: string
  /** With {amount}, {date} and {number}. */
  payBy: string
  notes: string
  /** With {page} and {pages}. */
  page: string
}

/** The document is marked with the labels' language, so that software pronounces it right. */
export interface TranslatedLabels {
  language: InvoiceLanguage
  labels: InvoiceLabels
}

export type InvoiceLanguage = keyof typeof LABELS

/** Picks the labels for a locale's language; English where there is none, as for Chinese in traditional characters. */
export function invoiceLabels(locale: string): TranslatedLabels {
  const { language, script } = new Intl.Locale(locale).maximize()
  const isTranslated = isInvoiceLanguage(language) && script !== 'Hant'
  const chosen = isTranslated ? language : 'en'
  return { language: chosen, labels: LABELS[chosen] }
}

function isInvoiceLanguage(language: string): language is InvoiceLanguage {
  return Object.hasOwn(LABELS, language)
}

const LABELS = {
  en: {
    heading: 'Invoice {number}',
    number: 'Invoice number',
    issuedOn: 'Invoice date',
    dueOn: 'Due date',
    email: 'Email',
    taxId: 'Tax ID',
    customerTaxId: 'Your tax ID',
    position: 'No.',
    description: 'Description',
    quantity: 'Quantity',
    unitPrice: 'Unit price',
    tax: 'Tax',
    net: 'Net ({currency})',
    netSum: 'Net total',
    taxSum: '{rate} tax on {net}',
    total: 'Total',
    payment: 'Payment',
    payBy: 'Please pay {amount} by {date}, quoting invoice number {number}.',
    notes: 'Notes',
    page: 'Page {page} of {pages}',
  },
  de: {
    heading: 'Rechnung {number}',
    number: 'Rechnungsnummer',
    issuedOn: 'Rechnungsdatum',
    dueOn: 'Fällig am',
    email: 'E-Mail',
    taxId: 'USt-IdNr.',
    customerTaxId: 'Ihre USt-IdNr.',
    position: 'Pos.',
    description: 'Beschreibung',
    quantity: 'Menge',
    unitPrice: 'Einzelpreis',
    tax: 'USt.',
    net: 'Netto ({currency})',
    netSum: 'Nettosumme',
    taxSum: '{rate} USt. auf {net}',
    total: 'Gesamtbetrag',
    payment: 'Zahlung',
    payBy:
      'Bitte überweisen Sie {amount} bis zum {date} unter Angabe der Rechnungsnummer {number}.',
    notes: 'Anmerkungen',
    page: 'Seite {page} von {pages}',
  },
  ar: {
    heading: 'فاتورة رقم {number}',
    number: 'رقم الفاتورة',
    issuedOn: 'تاريخ الإصدار',
    dueOn: 'تاريخ الاستحقاق',
    email: 'البريد الإلكتروني',
    taxId: 'الرقم الضريبي',
    customerTaxId: 'الرقم الضريبي للعميل',
    position: 'م',
    description: 'الوصف',
    quantity: 'الكمية',
    unitPrice: 'سعر الوحدة',
    tax: 'الضريبة',
    net: 'الصافي ({currency})',
    netSum: 'المجموع قبل الضريبة',
    taxSum: 'ضريبة {rate} على {net}',
    total: 'الإجمالي',
    payment: 'بيانات الدفع',
    payBy: 'يُرجى سداد {amount} في موعد أقصاه {date} مع ذكر رقم الفاتورة {number}.',
    notes: 'ملاحظات',
    page: 'صفحة {page} من {pages}',
  },
  he: {
    heading: 'חשבונית מס׳ {number}',
    number: 'מספר חשבונית',
    issuedOn: 'תאריך הפקה',
    dueOn: 'לתשלום עד',
    email: 'דוא״ל',
    taxId: 'מספר עוסק',
    customerTaxId: 'מספר עוסק של הלקוח',
    position: 'מס׳',
    description: 'תיאור',
    quantity: 'כמות',
    unitPrice: 'מחיר יחידה',
    tax: 'מע״מ',
    net: 'נטו ({currency})',
    netSum: 'סה״כ לפני מע״מ',
    taxSum: 'מע״מ {rate} על {net}',
    total: 'סה״כ לתשלום',
    payment: 'פרטי תשלום',
    payBy: 'נא לשלם {amount} עד {date} ולציין את מספר החשבונית {number}.',
    notes: 'הערות',
    page: 'עמוד {page} מתוך {pages}',
  },
  ja: {
    heading: '請求書 {number}',
    number: '請求書番号',
    issuedOn: '発行日',
    dueOn: 'お支払期限',
    email: 'メール',
    taxId: '登録番号',
    customerTaxId: '貴社登録番号',
    position: 'No.',
    description: '品目',
    quantity: '数量',
    unitPrice: '単価',
    tax: '税率',
    net: '金額（{currency}）',
    netSum: '小計（税抜）',
    taxSum: '消費税 {rate}（対象額 {net}）',
    total: '合計（税込）',
    payment: 'お支払い',
    payBy:
      '{date}までに {amount} をお支払いください。お振込の際は請求書番号 {number} をご記入ください。',
    notes: '備考',
    page: '{page} / {pages} ページ',
  },
  zh: {
    heading: '发票 {number}',
    number: '发票编号',
    issuedOn: '开票日期',
    dueOn: '付款期限',
    email: '电子邮箱',
    taxId: '税号',
    customerTaxId: '客户税号',
    position: '序号',
    description: '项目说明',
    quantity: '数量',
    unitPrice: '单价',
    tax: '税率',
    net: '净额（{currency}）',
    netSum: '不含税合计',
    taxSum: '税额 {rate}（计税金额 {net}）',
    total: '价税合计',
    payment: '付款信息',
    payBy: '请于 {date}或之前支付 {amount}，并注明发票编号 {number}。',
    notes: '备注',
    page: '第 {page} 页，共 {pages} 页',
  },
} as const satisfies Record<string, InvoiceLabels>
