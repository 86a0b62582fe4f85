"""The names that stand for the placeholders of written sentences and headlines, but for companies' names.

Many, and of many kinds, so that a model learns from the words around a name and not from the name.
"""

from __future__ import annotations

PEOPLE = (
    "John Hayes", "Maria Keller", "Wei Zhang", "Priya Nair", "Ahmed Rashid", "Sofia Rossi", "Kenji Mori", "Anna Novak",
    "Carlos Mendes", "Grace Okafor", "Pierre Lambert", "Ingrid Solberg", "David Cohen", "Elena Petrova", "Rajiv Mehta",
    "Thomas Brandt", "Fatima Khan", "Samuel Osei", "Linh Tran", "Jack O'Connor", "Lucia Fernandez", "Mark Whitfield",
    "Hayes", "Keller", "Nair", "Rashid", "Lambert", "Whitfield", "Okafor", "Fernandez", "Stephen Doyle", "Yuki Tanaka",
    "Olga Sidorova", "Miguel Santos", "Hannah Weiss", "Omar Farouk", "Chen Li", "Emily Carter", "Bruno Costa",
)  # fmt: skip
PLACES = (
    "Germany", "Spain", "Brazil", "India", "China", "Turkey", "Nigeria", "Argentina", "Japan", "Mexico", "Delaware",
    "Ontario", "London", "Milan", "Dubai", "Singapore", "Ukraine", "Greece", "Sri Lanka", "Kenya", "Poland", "Texas",
    "U.S.", "US", "UK", "Britain", "France", "Italy", "Ireland", "Portugal", "Iceland", "Latvia", "Hungary", "Romania",
    "Russia", "Kazakhstan", "Pakistan", "Bangladesh", "Thailand", "Vietnam", "Indonesia", "Philippines", "Malaysia",
    "South Korea", "North Korea", "Taiwan", "Hong Kong", "Australia", "New Zealand", "South Africa", "Egypt", "Tunisia",
    "Libya", "Ghana", "Ivory Coast", "Sudan", "Somalia", "Iran", "Iraq", "Israel", "Lebanon", "Saudi Arabia", "Kuwait",
    "Qatar", "Bahrain", "Yemen", "Afghanistan", "Venezuela", "Chile", "Peru", "Colombia", "Ecuador", "Bolivia", "Haiti",
    "Jamaica", "Cuba", "Honduras", "Canada", "Norway", "Sweden", "Denmark", "Finland", "Estonia", "Austria", "Belgium",
    "Netherlands", "Switzerland", "Cyprus", "Bulgaria", "Serbia", "Croatia", "Belarus", "Georgia", "Kyrgyzstan",
    "California", "Illinois", "Puerto Rico", "Detroit", "New York", "Tokyo", "Shanghai", "Mumbai", "Lagos", "Quebec",
    "Alberta", "Queensland", "Bavaria", "Catalonia", "Scotland", "Abu Dhabi", "Euro zone", "Moscow", "Istanbul",
)  # fmt: skip
AGENCIES = ("Moody's", "Fitch", "S&P", "Standard & Poor's", "DBRS", "Moody's Investors Service", "Fitch Ratings")
BROKERS = (
    "Goldman Sachs", "Morgan Stanley", "UBS", "Barclays", "Citi", "JPMorgan", "Credit Suisse", "Jefferies", "Nomura",
    "Deutsche Bank", "Bank of America", "HSBC", "Piper Sandler", "Raymond James", "Berenberg", "Macquarie", "CLSA",
    "Goldman", "Merrill Lynch", "BofA", "Citigroup", "BNP Paribas", "Societe Generale", "RBC", "Oppenheimer", "Daiwa",
    "Wells Fargo", "Bernstein", "Evercore", "Stifel", "KBW", "Kotak", "Mizuho", "Exane",
)  # fmt: skip
AUTHORITIES = (
    "SEC", "DOJ", "FDA", "European Commission", "FTC", "Bank of England", "Federal Reserve", "FCA", "BaFin", "SEBI",
    "Justice Department", "Serious Fraud Office", "EPA", "NHTSA", "Treasury", "Reserve Bank of India", "CFTC", "OFAC",
    "Fed", "ECB", "EU", "IMF", "World Bank", "Supreme Court", "Congress", "Senate", "FDIC", "FERC", "FAA", "FBI", "IRS",
    "Commerce Department", "European Central Bank", "Bank of Japan", "Competition Commission", "Ofcom", "FINRA", "OFT",
    "ASIC", "Bundesbank", "Swiss National Bank", "People's Bank of China", "Labor Department", "WTO", "OSHA", "NTSB",
)  # fmt: skip
