import type {
  InvoiceDocument,
  InvoiceLine,
  InvoiceTax,
} from '../../src/invoicePdf/invoiceDocument.ts'

type Item = [description: string, quantity: number, unitPriceMinor: number, taxPercent: number]

/** An invoice whose sums are right. */
export function invoiceOf(
  items: Item[],
  rest: Omit<InvoiceDocument, 'lines' | 'taxes' | 'netMinor' | 'taxMinor' | 'grossMinor'>,
): InvoiceDocument {
  const lines = items.map(([description, quantity, unitPriceMinor, taxPercent]): InvoiceLine => ({
    description,
    quantityMilli: Math.round(quantity * 1_000),
    unitPriceMinor,
    taxRateBasisPoints: Math.round(taxPercent * 100),
    netMinor: Math.round(quantity * unitPriceMinor),
  }))
  const taxes = taxesOf(lines)
  const netMinor = sum(lines.map((line) => line.netMinor))
  const taxMinor = sum(taxes.map((tax) => tax.taxMinor))
  return { ...rest, lines, taxes, netMinor, taxMinor, grossMinor: netMinor + taxMinor }
}

function taxesOf(lines: InvoiceLine[]): InvoiceTax[] {
  const rates = [...new Set(lines.map((line) => line.taxRateBasisPoints))].toSorted((a, b) => b - a)
  return rates.map((rateBasisPoints) => {
    const netMinor = sum(
      lines
        .filter((line) => line.taxRateBasisPoints === rateBasisPoints)
        .map((line) => line.netMinor),
    )
    return {
      rateBasisPoints,
      netMinor,
      taxMinor: Math.round((netMinor * rateBasisPoints) / 10_000),
    }
  })
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

const SELLER = {
  name: 'Example Trading Ltd',
  address: ['12 Sample Street', 'London EC1A 1AA', 'United Kingdom'],
  email: 'billing@example.com',
  taxId: 'GB123456789',
  bankDetails: ['Example Bank', 'IBAN GB33 BUKB 2020 1555 5555 55', 'BIC BUKBGB22'],
}

const DATES = { issuedOn: '2026-03-05', dueOn: '2026-04-04' }

export const enGb = invoiceOf(
  [
    ['Consulting, March 2026\nWorkshops on site and remote support', 12.5, 9_500, 20],
    ['Travel expenses', 1, 18_240, 0],
    ['Printed handbook “Operations”, second edition', 40, 1_295, 0],
    ['Hosting, per month', 3, 4_900, 20],
  ],
  {
    ...DATES,
    number: '2026-000042',
    locale: 'en-GB',
    currency: 'EUR',
    currencyDigits: 2,
    seller: SELLER,
    customer: {
      name: 'Sample Customer plc',
      address: ['Accounts Payable', '1 Test Avenue', 'Dublin D02 AB12', 'Ireland'],
      email: 'accounts@example.com',
      taxId: 'IE1234567A',
    },
    notes:
      'Thank you for your order.\nGoods remain our property until they have been paid for in full.',
  },
)

const GOODS = [
  'Schraube M8 × 40, verzinkt, DIN 933',
  'Unterlegscheibe 8,4 mm',
  'Fachbuch „Grundlagen der Lagerhaltung“',
  'Kaffee, ganze Bohne, 1 kg',
  'Montage vor Ort durch zwei Fachkräfte einschließlich An- und Abfahrt sowie Entsorgung des Verpackungsmaterials',
  'Donaudampfschifffahrtsgesellschaftskapitänsmützenständer',
]

export const deDe = invoiceOf(
  Array.from({ length: 120 }, (_, index): Item => {
    const reduced = index % 6 === 2 || index % 6 === 3
    return [
      GOODS[index % GOODS.length]!,
      1 + (index % 7) * 2.5,
      129 + index * 1_037,
      reduced ? 7 : 19,
    ]
  }),
  {
    ...DATES,
    number: 'RE-2026-000043',
    locale: 'de-DE',
    currency: 'EUR',
    currencyDigits: 2,
    seller: {
      name: 'Beispiel Großhandel GmbH & Co. KG',
      address: ['Musterstraße 1', '10115 Berlin'],
      email: 'rechnung@example.com',
      taxId: 'DE123456789',
      bankDetails: ['Beispielbank', 'IBAN DE89 3704 0044 0532 0130 00', 'BIC COBADEFFXXX'],
    },
    customer: {
      name: 'Müller, Böß & Söhne Weiterverarbeitung',
      address: ['Frau Änne Öztürk-Groß', 'Überseeallee 10', '20457 Hamburg'],
      taxId: 'DE987654321',
    },
    notes: 'Leistungszeitraum: Februar 2026. Es gelten unsere allgemeinen Geschäftsbedingungen.',
  },
)

export const arEg = invoiceOf(
  [
    ['استشارات تقنية لشهر مارس ٢٠٢٦', 12.5, 95_000, 14],
    ['ترخيص برنامج Roundsman 2.0 (10 مستخدمين)', 1, 1_250_000, 14],
    ['كتاب «إدارة المخازن»، الطبعة الثانية', 40, 12_950, 0],
  ],
  {
    ...DATES,
    number: '2026-000044',
    locale: 'ar-EG',
    currency: 'EGP',
    currencyDigits: 2,
    seller: {
      name: 'شركة المثال للتجارة',
      address: ['١٢ شارع النموذج', 'القاهرة ١١٥١١', 'مصر'],
      email: 'billing@example.com',
      taxId: '123-456-789',
      bankDetails: ['بنك المثال', 'IBAN EG38 0019 0005 0000 0000 2631 8000 2', '+20 2 1234 5678'],
    },
    customer: {
      name: 'مؤسسة العميل التجريبية',
      address: ['عناية: أ. ليلى محمّد', '٤٥ طريق الاختبار، الطابق 3', 'الإسكندرية'],
      email: 'accounts@example.com',
      taxId: '987-654-321',
    },
    notes: 'شكرًا لتعاملكم معنا.\nللاستفسار: billing@example.com (من 9 إلى 17).',
  },
)

export const heIl = invoiceOf(
  [
    ['ייעוץ טכני, מרץ 2026', 12.5, 35_000, 18],
    ['רישיון תוכנה Roundsman 2.0 (10 משתמשים)', 1, 480_000, 18],
    ['ספר ״ניהול מלאי״, מהדורה שנייה', 40, 8_990, 18],
    ['זיכוי בגין החזרה', -1, 12_550, 18],
  ],
  {
    ...DATES,
    number: '2026-000045',
    locale: 'he-IL',
    currency: 'ILS',
    currencyDigits: 2,
    seller: {
      name: 'דוגמה מסחר בע״מ',
      address: ['רחוב הדוגמה 12', 'תל אביב 6100000'],
      email: 'billing@example.com',
      taxId: '512345678',
      bankDetails: ['בנק לדוגמה, סניף 001', 'IBAN IL62 0108 0000 0009 9999 999'],
    },
    customer: {
      name: 'לקוח לדוגמה ושות׳',
      address: ['לידי: שירה כהן־לוי', 'שדרות הבדיקה 3', 'חיפה 3100000'],
      taxId: '587654321',
    },
    notes: 'תודה על הזמנתכם. לשאלות: billing@example.com.',
  },
)

export const jaJp = invoiceOf(
  [
    ['技術コンサルティング（2026年3月分）', 12.5, 12_000, 10],
    ['ソフトウェア利用料 Roundsman 2.0', 3, 9_800, 10],
    ['コーヒー豆 1kg（軽減税率対象）', 4, 2_480, 8],
  ],
  {
    ...DATES,
    number: '2026-000046',
    locale: 'ja-JP',
    currency: 'JPY',
    currencyDigits: 0,
    seller: {
      name: '株式会社サンプル商事',
      address: ['〒100-0001', '東京都千代田区千代田1-1', 'サンプルビル3階'],
      email: 'billing@example.com',
      taxId: 'T1234567890123',
      bankDetails: ['サンプル銀行 本店営業部', '普通 1234567', 'カ）サンプルシヨウジ'],
    },
    customer: {
      name: '株式会社見本製作所　御中',
      address: ['〒530-0001', '大阪府大阪市北区梅田1丁目2番3号', '経理部　髙橋 直樹 様'],
    },
    notes:
      'いつもお世話になっております。ご不明な点がございましたら、上記までお問い合わせください。',
  },
)

export const zhCn = invoiceOf(
  [
    ['技术咨询服务（2026年3月）', 12.5, 80_000, 6],
    ['软件许可 Roundsman 2.0，10 个用户', 1, 1_250_000, 13],
    ['《仓储管理》第二版，直角包装，骨架书立', 40, 4_990, 9],
  ],
  {
    ...DATES,
    number: '2026-000047',
    locale: 'zh-CN',
    currency: 'CNY',
    currencyDigits: 2,
    seller: {
      name: '示例贸易有限公司',
      address: ['北京市朝阳区示例路12号', '邮编 100020'],
      email: 'billing@example.com',
      taxId: '91110000000000000X',
      bankDetails: ['示例银行北京分行', '账号 6200 0000 0000 0000'],
    },
    customer: {
      name: '样本制造（深圳）有限公司',
      address: ['财务部　收', '广东省深圳市南山区测试大道3号'],
      taxId: '91440300000000000X',
    },
    notes: '感谢您的订购。如有疑问，请联系 billing@example.com。',
  },
)

/** An English invoice with names in every script that we promise. */
export const mixed = invoiceOf(
  [
    ['株式会社サンプル: 直骨今令 in Japanese glyphs (ひらがな)', 1, 10_000, 20],
    ['深圳样本有限公司: 直骨今令 in Chinese glyphs', 1, 10_000, 20],
    ['שירה כהן (Haifa), order 123-456', 2, 2_550, 20],
    ['شركة المثال ABC (رقم 7)', 3, 3_333, 20],
    ['Øystein Ångström, Łukasz Żółć, Ștefan Țîrlea, Ναταλία, Дмитрий', 1, 999, 5],
    ['No font has 😀, 한국 or \u{e000}', 1, 100, 0],
    [
      '#let x = 1; $x^2$ *bold* _it_ <b>tag</b> \\alpha @ref `raw` // end &amp; ~ -- "q"',
      1,
      100,
      0,
    ],
    [
      'SKU-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz0123456789',
      1,
      1,
      0,
    ],
  ],
  {
    ...DATES,
    number: '2026-000048',
    locale: 'en-GB',
    currency: 'KWD',
    currencyDigits: 3,
    seller: SELLER,
    customer: {
      name: '山田 花子 (髙島屋サンプル)',
      address: [
        'مكتب ٣، شارع النموذج 12',
        'רחוב הדוגמה 5',
        'Straße des Übungsbeispiels 3, 10115 Köln',
      ],
    },
    notes: 'Mixed: the customer شركة المثال paid 1,234.500 on 5 March; שלום 42; 東京 and 北京.',
  },
)

export const sampleInvoices = {
  'en-GB': enGb,
  'de-DE': deDe,
  'ar-EG': arEg,
  'he-IL': heIl,
  'ja-JP': jaJp,
  'zh-CN': zhCn,
  mixed,
}
